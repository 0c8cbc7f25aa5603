/** Paths below the mount point; `false` leaves a route out. */
export interface RouteOptions {
  /** Default `/login`; `GET /login/:provider` goes with it. */
  login?: string | false;
  callback?: string | false;
  logout?: string | false;
  /** `/login` that lands on the sign-up screen, such as `/signup`; default none. */
  signUp?: string | false;
  /** `POST`: tokens for native and single-page clients, such as `/token`; default none. */
  token?: string | false;
  /** `GET /connect/:slug`: links an account by WorkOS Pipes; default none. */
  connect?: string | false;
  /** `POST`, from this origin: `switchToOrganization` for forms and scripts; default none. */
  switchOrganization?: string | false;
}
