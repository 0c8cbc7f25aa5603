import { describeRedirects } from './corpus.js';

describeRedirects('express5');
