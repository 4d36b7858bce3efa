import { useState } from 'preact/hooks';
import { Choice } from './parts.js';

const THEMES = [
  ['auto', 'Auto'],
  ['light', 'Light'],
  ['dark', 'Dark'],
] as const;
type ThemeName = (typeof THEMES)[number][0];
const THEME_KEY = 'leader-dashboard-theme';

/** Which colours the reader has chosen; the browser remembers it. */
export function Theme() {
  const [theme, setTheme] = useState(storedTheme);
  const choose = (value: ThemeName) => {
    setTheme(value);
    document.documentElement.dataset['theme'] = value;
    try {
      localStorage.setItem(THEME_KEY, value);
    } catch {
      // A browser without storage keeps it for as long as the page is open.
    }
  };
  return <Choice name="theme" legend="Colours" value={theme} options={THEMES} onChoose={choose} />;
}

function storedTheme(): ThemeName {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(THEME_KEY);
  } catch {
    // It follows the system.
  }
  const theme = stored === 'light' || stored === 'dark' ? stored : 'auto';
  document.documentElement.dataset['theme'] = theme;
  return theme;
}
