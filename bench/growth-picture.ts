import * as echarts from 'echarts';
import type { Growth } from './measure.js';

const WIDTH = 960;
const PANEL = { width: 380, height: 220, left: 70, top: 70, stepX: 480, stepY: 350 };
const COLUMNS = 2;
/** As a logarithm has no place for it, nothing is drawn at the foot of the axis. */
const NOTHING = 0.1;

/** One panel for each, both axes by tens. */
export function growthPicture(growth: readonly Growth[]): string {
  const rows = Math.ceil(growth.length / COLUMNS);
  const height = Math.max(1, rows) * PANEL.stepY;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      title: growth.map(({ what, unit }, index) => ({
        text: unit === '' ? what : `${what} (${unit})`,
        textStyle: { fontSize: 13, fontWeight: 'bold' },
        ...place(index, -52),
      })),
      legend: growth.map(({ lines }, index) => ({
        data: lines.map(({ name }) => seriesName(index, name)),
        formatter: (name: string) => name.slice(name.indexOf(' ') + 1),
        itemHeight: 8,
        textStyle: { fontSize: 11 },
        ...place(index, PANEL.height + 44),
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
      yAxis: growth.map((_, gridIndex) => ({ gridIndex, type: 'log' })),
      series: growth.flatMap(({ lines }, index) =>
        lines.map(({ name, points }) => ({
          name: seriesName(index, name),
          type: 'line',
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

function place(index: number, offset: number): { left: number; top: number } {
  return {
    left: PANEL.left + (index % COLUMNS) * PANEL.stepX,
    top: PANEL.top + Math.floor(index / COLUMNS) * PANEL.stepY + offset,
  };
}

/** Lines of two panels may share a name, and a legend is of one. */
function seriesName(index: number, name: string): string {
  return `${index} ${name}`;
}
