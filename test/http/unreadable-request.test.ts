import { expect, onTestFinished, test } from 'vitest';
import { FRAMEWORKS } from '../support/frameworks.js';
import { createCorpusApp } from '../support/corpus-app.js';

// The remaining frameworks respond with 404, or crash before they call the middleware (Connect 3 with `http://[::1`).
test.each(FRAMEWORKS.filter((framework) => framework !== 'connect'))(
  'a request target that the router cannot parse is handled as an anonymous request on %s',
  async (framework) => {
    const at = await createCorpusApp(framework);
    onTestFinished(() => at.close());
    for (const target of ['//;@0x7f000001#', '/\\evil.example#@app.example.com', 'http://[::1']) {
      const answer = await at.raw(target, ['Accept: text/html']);
      expect(answer.slice(0, 200), target).toMatch(/^HTTP\/1\.1 (?:302|400|404) /);
      expect(at.served()).toBe(0);
    }
  },
);
