import * as echarts from 'echarts';
import type { Growth } from './measure.js';

const WIDTH = 960;
const PANEL = { width: 380, height: 220, left: 70, top: 60, stepX: 480 };
const COLUMNS = 2;
const LEGEND = { top: 44, line: 18 };
/** As a logarithm has no place for it, nothing is drawn at the foot of the axis, which then says 0. */
const NOTHING = 0.1;
/** Told apart by those who cannot tell red from green, on white. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#000000', '#e69f00', '#56b4e9'];

/** One panel for each, both axes by tens. Who is in several panels has one colour in all of them. */
export function growthPicture(growth: readonly Growth[]): string {
  const names = [...new Set(growth.flatMap(({ lines }) => lines.map(({ name }) => name)))];
  const stepY = heightOf(Math.max(0, ...growth.map(({ lines }) => lines.length)));
  const rows = Math.max(1, Math.ceil(growth.length / COLUMNS));
  const place = (index: number, offset: number) => ({
    left: PANEL.left + (index % COLUMNS) * PANEL.stepX,
    top: PANEL.top + Math.floor(index / COLUMNS) * stepY + offset,
  });
  const chart = echarts.init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: rows * stepY,
  });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      title: growth.map(({ what, unit }, index) => ({
        text: unit === '' ? what : `${what} (${unit})`,
        textStyle: { fontSize: 12, fontWeight: 'bold' },
        ...place(index, -48),
      })),
      legend: growth.map(({ lines }, index) => ({
        data: lines.map(({ name }) => seriesName(index, name)),
        formatter: (name: string) => name.slice(name.indexOf(' ') + 1).replaceAll('`', ''),
        orient: 'vertical',
        itemHeight: 8,
        itemGap: 4,
        padding: 0,
        textStyle: { fontSize: 11, lineHeight: 14 },
        ...place(index, PANEL.height + LEGEND.top),
      })),
      grid: growth.map((_, index) => ({
        ...place(index, 0),
        width: PANEL.width,
        height: PANEL.height,
      })),
      xAxis: growth.map(({ sizeOf }, gridIndex) => ({
        gridIndex,
        type: 'log',
        name: sizeOf,
        nameLocation: 'middle',
        nameGap: 26,
      })),
      yAxis: growth.map(({ lines }, gridIndex) => ({
        gridIndex,
        type: 'log',
        axisLabel: { formatter: (value: number) => axisLabel(value, hasNothing(lines)) },
      })),
      series: growth.flatMap(({ lines }, index) =>
        lines.map(({ name, points }, order) => ({
          name: seriesName(index, name),
          type: 'line',
          color: COLOURS[names.indexOf(name) % COLOURS.length],
          // The first is this library, which no other may hide.
          z: lines.length - order,
          xAxisIndex: index,
          yAxisIndex: index,
          symbolSize: 7,
          data: points.map(({ size, value }) => [size, Math.max(NOTHING, value)]),
        })),
      ),
    });
    return `${chart.renderToSVGString()}\n`;
  } finally {
    chart.dispose();
  }
}

function heightOf(lines: number): number {
  return PANEL.top + PANEL.height + LEGEND.top + lines * LEGEND.line + 12;
}

function hasNothing(lines: Growth['lines']): boolean {
  return lines.some(({ points }) => points.some(({ value }) => value <= NOTHING));
}

function axisLabel(value: number, isNothingDrawn: boolean): string {
  return isNothingDrawn && value === NOTHING ? '0' : value.toLocaleString('en-US');
}

/** Lines of two panels may share a name, and a legend is of one. */
function seriesName(index: number, name: string): string {
  return `${index} ${name}`;
}
