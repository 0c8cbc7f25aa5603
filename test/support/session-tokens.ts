/** The tokens that an application with this client ID accepts, unless its option `audience` is set. */
export function sessionTokensOf(clientId: string) {
  return { kind: 'session', clientId, audience: [clientId] } as const;
}
