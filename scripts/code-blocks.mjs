/**
 * Returns the code blocks of a page by the file name in the first line of each: `// jest.config.cjs`. If several blocks
 * have the same name, the first one is returned.
 */
export function codeBlocks(page, names) {
  const blocks = [...page.matchAll(/^```\w+\n(.*?)^```$/gms)].map(([, code]) => code);
  return names.map((name) => {
    const found = blocks.find((code) => code.startsWith(`// ${name}\n`));
    if (found === undefined) throw new Error(`there is no block that begins with "// ${name}"`);
    return found;
  });
}
