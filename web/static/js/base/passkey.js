// @ts-check
// Passkeys (WebAuthn): the question comes from the server, the browser asks the person, the answer goes back.
import { ApiError, post } from "./api.js";
import { _ } from "./i18n.js";

/** Whether this browser knows passkeys (never over plain http, save on localhost). */
export const hasPasskeys = () => "PublicKeyCredential" in window;

/** Answer a question with a passkey: to sign in, or to confirm. @param {string} path @param {Record<string, any>} [more] */
export async function answered(path, more = {}) {
  const { options, challenge } = await post(`${path}/challenge`, more);
  const asked = JSON.parse(options);
  const publicKey = { ...asked, challenge: bytes(asked.challenge), allowCredentials: (asked.allowCredentials ?? []).map(described) };
  const found = await chosen(() => navigator.credentials.get({ publicKey }));
  const response = /** @type {AuthenticatorAssertionResponse} */ (found.response);
  const answer = {
    clientDataJSON: text(response.clientDataJSON),
    authenticatorData: text(response.authenticatorData),
    signature: text(response.signature),
    ...(response.userHandle ? { userHandle: text(response.userHandle) } : {}),
  };
  await post(path, { ...more, challenge, credential: { ...named(found), response: answer } });
}

/** Make a passkey and add it as second factor. */
export async function added() {
  const { options, challenge } = await post("/api/passkeys/new/challenge");
  const asked = JSON.parse(options);
  const publicKey = {
    ...asked,
    challenge: bytes(asked.challenge),
    user: { ...asked.user, id: bytes(asked.user.id) },
    excludeCredentials: (asked.excludeCredentials ?? []).map(described),
  };
  const made = await chosen(() => navigator.credentials.create({ publicKey }));
  const response = /** @type {AuthenticatorAttestationResponse} */ (made.response);
  const answer = { clientDataJSON: text(response.clientDataJSON), attestationObject: text(response.attestationObject) };
  await post("/api/passkeys/new", { challenge, name: _("Passkey"), credential: { ...named(made), response: answer } });
}

/** @param {() => Promise<any>} choose @returns {Promise<PublicKeyCredential>} */
async function chosen(choose) {
  try {
    const found = await choose();
    if (found) return found;
  } catch (error) {
    if (/** @type {any} */ (error).name === "InvalidStateError") throw new ApiError(0, { code: "factor.exists" });
  }
  throw new ApiError(0, { code: "passkey.none", message: _("No passkey was chosen. Try again, or use another way.") });
}

/** @param {PublicKeyCredential} found */
const named = (found) => ({ id: found.id, rawId: text(found.rawId), type: found.type });

/** @param {any} credential */
const described = (credential) => ({ ...credential, id: bytes(credential.id) });

/** base64url to bytes. @param {string} value */
const bytes = (value) => Uint8Array.from(atob(value.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

/** Bytes to base64url. @param {ArrayBuffer} value */
const text = (value) =>
  btoa(String.fromCharCode(...new Uint8Array(value)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
