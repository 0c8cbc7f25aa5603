export { authKitParameters } from './authkit.js';
export { single, type ParameterSet } from './parameters.js';
export { AUTHKIT, providerNamed, PROVIDERS, shortName } from './providers.js';
export { ssoParameters } from './sso.js';
