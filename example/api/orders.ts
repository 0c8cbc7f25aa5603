/** Stands for a table of orders. */
export const orders = new Set(['1', '2', '3']);
