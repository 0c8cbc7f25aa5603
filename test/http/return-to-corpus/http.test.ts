import { describeRedirects } from './corpus.js';

describeRedirects('http');
