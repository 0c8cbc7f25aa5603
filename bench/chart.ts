import { type Report, shareOf, transportOf } from './report.js';
import { scenarioOf } from './scenarios.js';

const SHOWN: readonly string[] = ['hot', 'cold', 'bearer', 'stores'];
const WIDTH = 900;
const LABEL = 210;
const ROW = 18;
const COLOURS = { ours: '#5b5bd6', others: '#9ba1a6', bare: '#30a46c' };

/** Bars that show each scenario's share of bare Express 5, for each version of Node. */
export function chart({ versions, date }: Report): string {
  const transport = transportOf(versions);
  const blocks: string[] = [];
  let y = 46;
  for (const { node, scenarios } of versions) {
    for (const { name, contenders } of scenarios) {
      if (!SHOWN.includes(name)) continue;
      blocks.push(text(12, y, `Node ${node}, ${scenarioOf(name).title}`, 'bold'));
      y += 8;
      for (const line of contenders) {
        const share = shareOf(line, transport) ?? 0;
        const length = Math.min(1.1, share) * (WIDTH - LABEL - 70);
        const colour = line.name.startsWith('authkit-express')
          ? COLOURS.ours
          : line.by === 'nothing'
            ? COLOURS.bare
            : COLOURS.others;
        blocks.push(
          text(LABEL - 8, y + 13, line.name, 'normal', 'end'),
          `<rect x="${LABEL}" y="${y + 2}" width="${length.toFixed(1)}" height="${ROW - 5}" rx="2" fill="${colour}"/>`,
          text(LABEL + length + 6, y + 13, share.toFixed(2)),
        );
        y += ROW;
      }
      y += 30;
    }
  }
  const title = `Requests for the same CPU time, as a share of bare Express 5 (${date.slice(0, 10)}; longer is better)`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="${title}">`,
    `<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>`,
    text(12, 22, title, 'bold'),
    ...blocks,
    '</svg>\n',
  ].join('\n');
}

function text(x: number, y: number, value: string, weight = 'normal', anchor = 'start'): string {
  const escaped = value.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}" font-weight="${weight}" text-anchor="${anchor}" fill="#11181c">${escaped}</text>`;
}
