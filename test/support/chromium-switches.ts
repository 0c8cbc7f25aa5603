/** Command-line switches for Chromium, whichever driver starts it. */
export const SWITCHES: readonly string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The popups of the address bar. Each window would load two pages for them, in a process of their own. */
export const ADDRESS_BAR_POPUPS: readonly string[] = ['WebUIOmniboxPopup', 'WebUIOmniboxAimPopup'];
