/** Values of one time series: seconds since the start, and a number. */
export interface Series {
  name: string;
  points: readonly (readonly [number, number])[];
}

export interface DrawnPanel {
  title: string;
  type: 'stat' | 'timeseries';
  gridPos: { x: number; y: number; w: number; h: number };
  fieldConfig: {
    defaults: {
      unit?: string;
      mappings?: { options: Record<string, { text: string; color: string }> }[];
    };
  };
  series: readonly Series[];
}

const COLORS = ['#73bf69', '#f2cc0c', '#8ab8ff', '#ff780a', '#f2495c', '#b877d9', '#5794f2', '#ffb357'];
const [COLUMN, ROW, GAP] = [52, 30, 8];

/** A page that shows the panels of a Grafana dashboard where Grafana would put them. */
export function drawDashboard(panels: readonly DrawnPanel[], duration: number): string {
  const height = Math.max(...panels.map(({ gridPos: { y, h } }) => y + h)) * ROW;
  return `<!doctype html><meta charset="utf-8"><title>Dashboard</title><style>
    body { margin: 0; background: #111217; color: #ccccdc; font: 12px system-ui, sans-serif }
    main { position: relative; width: ${24 * COLUMN + GAP}px; height: ${height + GAP}px; background: #111217 }
    section { position: absolute; background: #181b1f; border: 1px solid #2a2d33; border-radius: 3px; overflow: hidden }
    h2 { font-size: 13px; font-weight: 500; margin: 8px 10px 4px }
    .state { position: absolute; inset: 30px 8px 8px; border-radius: 3px; display: grid; place-items: center;
      font-size: 26px; font-weight: 600; color: #fff }
    ul { list-style: none; margin: 0 10px; padding: 0; display: flex; flex-wrap: wrap; gap: 0 14px }
    li::before { content: ''; display: inline-block; width: 12px; height: 3px; margin: 0 5px 3px 0; background: var(--color) }
    text { fill: #8e8e9c; font-size: 10px }
  </style><main>${panels.map((panel) => drawPanel(panel, duration)).join('')}</main>`;
}

function drawPanel(panel: DrawnPanel, duration: number): string {
  const { title, type, gridPos } = panel;
  const box = {
    left: gridPos.x * COLUMN + GAP,
    top: gridPos.y * ROW + GAP,
    width: gridPos.w * COLUMN - GAP - 2,
    height: gridPos.h * ROW - GAP - 2,
  };
  const style = Object.entries(box).map(([name, value]) => `${name}: ${value}px`);
  const body = type === 'stat' ? drawState(panel) : drawChart(panel, box, duration);
  return `<section style="${style.join('; ')}"><h2>${escape(title)}</h2>${body}</section>`;
}

function drawState({ series, fieldConfig }: DrawnPanel): string {
  const last = series[0]?.points.at(-1)?.[1];
  const mapping = fieldConfig.defaults.mappings?.[0]?.options[String(last)];
  const color = { green: '#37872d', red: '#c4162a' }[mapping?.color ?? ''] ?? '#1f60c4';
  const text = mapping?.text ?? (last === undefined ? 'No data' : `${last.toFixed(1)} / s`);
  return `<div class="state" style="background: ${color}">${escape(text)}</div>`;
}

function drawChart(
  { series, fieldConfig }: DrawnPanel,
  { width, height }: { width: number; height: number },
  duration: number,
): string {
  const legend = 22 * Math.ceil(series.reduce((sum, { name }) => sum + name.length * 6.5 + 40, 0) / width);
  const [left, right, top, bottom] = [46, 12, 4, 20];
  const inner = { width: width - left - right, height: height - 34 - legend - top - bottom };
  const values = series.flatMap(({ points }) => points.map(([, value]) => value)).filter(Number.isFinite);
  const most = niceAbove(Math.max(...values, 0.01));
  const x = (time: number) => left + (time / duration) * inner.width;
  const y = (value: number) => top + inner.height * (1 - value / most);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const label = labelOf(most * part, fieldConfig.defaults.unit);
    return `<path d="M${left} ${y(most * part)}h${inner.width}" stroke="#2a2d33"/>
      <text x="${left - 6}" y="${y(most * part) + 3}" text-anchor="end">${label}</text>`;
  });
  const times = [0, 30, 60, 90, 120].map(
    (time) => `<text x="${x(time)}" y="${top + inner.height + 15}" text-anchor="middle">${time} s</text>`,
  );
  const lines = series.map(({ points }, index) => {
    const known = points.filter(([, value]) => Number.isFinite(value));
    const path = known.map(([time, value]) => `${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join('L');
    const color = COLORS[index % COLORS.length] as string;
    return path && `<path d="M${path}" fill="none" stroke="${color}" stroke-width="1.8"/>`;
  });
  const names = series.map(
    ({ name }, index) =>
      `<li style="--color: ${COLORS[index % COLORS.length] as string}">${escape(name)}</li>`,
  );
  return `<svg width="${width}" height="${height - 34 - legend}">${[...grid, ...times, ...lines].join('')}</svg>
    <ul>${names.join('')}</ul>`;
}

function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 5, 8, 10].find((step) => step * power >= value) as number) * power;
}

function labelOf(value: number, unit: string | undefined): string {
  if (unit === 's') return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
  return String(Number(value.toPrecision(2)));
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
