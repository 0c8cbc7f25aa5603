/** What one look found. */
export interface Finding {
  readonly check:
    'node' | 'packages' | 'configuration' | 'addresses' | 'cookie' | 'keys' | 'clock' | 'credentials';
  /** `problem`: it will not work. `warning`: it works, but look at it. */
  readonly status: 'ok' | 'warning' | 'problem' | 'skipped';
  /** A sentence, with the fix if there is something to fix. Nothing secret. */
  readonly message: string;
}

export function finding(check: Finding['check'], status: Finding['status'], message: string): Finding {
  return { check, status, message };
}
