export const SITE: string;
export const REPOSITORY: string;
export function routeOf(path: string): string | undefined;
export function absoluteLink(link: string, page: string): string;
export function withAbsoluteLinks(readme: string): string;
