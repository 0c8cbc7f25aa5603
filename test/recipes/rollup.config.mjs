import commonjs from '@rollup/plugin-commonjs';
import json from '@rollup/plugin-json';
import resolve from '@rollup/plugin-node-resolve';

export default {
  input: 'app.mjs',
  plugins: [resolve({ preferBuiltins: true, exportConditions: ['node'] }), commonjs(), json()],
  output: { dir: 'dist/rollup', format: 'es', entryFileNames: 'app.mjs', chunkFileNames: '[name].mjs' },
};
