import { vi } from 'vitest';

// The signing keys are fetched when they are first needed, so that each test decides what WorkOS answers. The tests of
// the start-up call `vi.unmock`.
vi.mock('../../src/workos/preload-keys.js', () => ({ preloadKeys: () => undefined }));
