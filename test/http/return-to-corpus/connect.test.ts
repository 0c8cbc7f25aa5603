import { describeRedirects } from './corpus.js';

describeRedirects('connect');
