import { vi } from 'vitest';

// Signing keys are fetched only when they are needed, so that each test decides how WorkOS responds. The start-up tests
// call `vi.unmock`.
vi.mock('../../src/workos/preload-keys.js', () => ({ preloadKeys: () => undefined }));
