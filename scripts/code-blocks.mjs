/**
 * Code of a page, by the file names that stand in the first line of each block: `// jest.config.cjs`. Of several blocks
 * with one name, the first.
 */
export function codeBlocks(page, names) {
  const blocks = [...page.matchAll(/^```\w+\n(.*?)^```$/gms)].map(([, code]) => code);
  return names.map((name) => {
    const found = blocks.find((code) => code.startsWith(`// ${name}\n`));
    if (found === undefined) throw new Error(`there is no block that begins with "// ${name}"`);
    return found;
  });
}
