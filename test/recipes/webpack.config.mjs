import { join } from 'node:path';

export default {
  target: 'node',
  mode: 'production',
  entry: './app.mjs',
  experiments: { outputModule: true },
  output: {
    path: join(import.meta.dirname, 'dist/webpack'),
    filename: 'app.mjs',
    module: true,
    chunkFormat: 'module',
  },
  // The code of a server need not be small.
  optimization: { minimize: false },
};
