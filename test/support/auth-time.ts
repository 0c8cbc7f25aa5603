import type { TestWorkOS } from 'authkit-express/testing';

/** Removes `auth_time` from the tokens that sign-ins return, until `restore` is called. */
export async function withoutAuthTime(workos: TestWorkOS): Promise<{ restore: () => void }> {
  const token = await workos.accessToken();
  const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as object;
  const plain = await workos.signToken({ ...claims, auth_time: undefined, sid: 'session_x' });
  return workos.fail({
    on: 'authenticate',
    alter: (body) => ({ ...(body as object), access_token: plain }),
  });
}
