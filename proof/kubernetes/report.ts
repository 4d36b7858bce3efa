/** One line of a table of figures. */
export type Row = Readonly<Record<string, string | number | boolean>>;
