-- Times are milliseconds since the Unix epoch. CIDs are stored as their 32-byte SHA-256 digest, since the column tells the
-- codec. Revs are TIDs as 64-bit integers, whose order is that of their text. `account` and `repo` numbers are never used again.

-- Values of the server itself: sealed secrets, marks.
CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  -- Under which `record`, `node`, `backlink` and `blob_ref` have its repo. An import lays the new one down under another number,
  -- then changes this one: so readers see the old repo or the new one. Statements that read name the account and look its
  -- number up themselves.
  repo INTEGER NOT NULL UNIQUE,
  did TEXT NOT NULL UNIQUE,
  handle TEXT UNIQUE,
  email TEXT UNIQUE,
  email_confirmed_at INTEGER,
  -- Whether signing in takes a code from the mail; asked for while the address is confirmed.
  email_auth_factor INTEGER NOT NULL DEFAULT 0,
  password_hash TEXT,
  -- Sealed under the master key.
  signing_key BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  deactivated_at INTEGER,
  delete_after INTEGER,
  -- When the account is deleted at the wish of its owner, who can still take that back. `delete_after` is what an app asked
  -- for, and nothing acts on it.
  delete_at INTEGER,
  -- Whether the owner gets a mail when someone signs in on a new device.
  sign_in_alerts INTEGER NOT NULL DEFAULT 1,
  takedown_ref TEXT,
  suspended_at INTEGER,
  -- Whether the account earns no more invite codes, and why.
  invites_disabled INTEGER NOT NULL DEFAULT 0,
  invite_note TEXT
) STRICT;

CREATE INDEX account_delete_at ON account (delete_at) WHERE delete_at IS NOT NULL;

CREATE TABLE refresh_token (
  id TEXT PRIMARY KEY,
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  expires_at INTEGER NOT NULL,
  -- The token that took this one's place; the same for every use within the grace time.
  next_id TEXT,
  app_password_name TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_token_account ON refresh_token (account);
CREATE INDEX refresh_token_next ON refresh_token (next_id) WHERE next_id IS NOT NULL;

CREATE TABLE app_password (
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  -- SHA-256, since app passwords are random and so not to be guessed. Those that the official PDS gave out have its form,
  -- `salt:scrypt`, until they are used.
  password_hash TEXT NOT NULL,
  privileged INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;

-- Browsers in which someone has signed in to the pages. The cookie holds `id` and a secret, which is new at each sign-in.
CREATE TABLE web_device (
  id TEXT PRIMARY KEY,
  secret_hash BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  -- The account whose pages are shown, when several are signed in.
  current INTEGER REFERENCES account (id) ON DELETE SET NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX web_device_current ON web_device (current);

-- Who is signed in to the pages where.
CREATE TABLE web_session (
  device TEXT NOT NULL REFERENCES web_device (id) ON DELETE CASCADE,
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  signed_in_at INTEGER NOT NULL,
  -- When the owner last showed that it is them, by password or passkey: what matters asks again after a while.
  confirmed_at INTEGER NOT NULL,
  -- To the hour or so.
  last_seen_at INTEGER NOT NULL,
  -- When it ends unless it is used before; it never moves for a browser that is not to remember.
  expires_at INTEGER NOT NULL,
  remembered INTEGER NOT NULL,
  -- To tell their devices apart by, for people.
  user_agent TEXT NOT NULL,
  ip TEXT NOT NULL,
  PRIMARY KEY (device, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX web_session_account ON web_session (account);
CREATE INDEX web_session_expires ON web_session (expires_at);

-- A link that signs the owner of an account in, once; at most one for an account.
CREATE TABLE sign_in_link (
  account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  -- SHA-256 of the random bytes in the link.
  digest BLOB NOT NULL UNIQUE,
  expires_at INTEGER NOT NULL
) STRICT;

-- The last times that someone signed in; bounded for each account.
CREATE TABLE sign_in (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  at INTEGER NOT NULL,
  user_agent TEXT NOT NULL,
  ip TEXT NOT NULL,
  -- A hash of what tells one device from another.
  device BLOB NOT NULL
) STRICT;
CREATE INDEX sign_in_account ON sign_in (account, id);

-- The secret that an account shares with an authenticator app.
CREATE TABLE totp (
  account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  -- Under the master key.
  secret BLOB NOT NULL,
  -- Set when a first code has shown that the app has the secret; until then nobody is asked for one.
  confirmed_at INTEGER,
  -- The time step of the last code that was taken: each is good once.
  last_step INTEGER NOT NULL DEFAULT 0,
  -- Wrong codes since the last right one, and when the last of them came: a code has six digits, so guessing is slowed.
  failures INTEGER NOT NULL DEFAULT 0,
  failed_at INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Codes on paper, each good once. They are gone when used.
CREATE TABLE backup_code (
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  -- SHA-256, since the codes are random and so not to be guessed.
  digest BLOB NOT NULL,
  PRIMARY KEY (account, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE passkey (
  credential_id BLOB PRIMARY KEY,
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  -- Public key and counter, as webauthn-rs writes them in JSON.
  credential TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX passkey_account ON passkey (account);

-- The codes of mails, one for each purpose. Kept for some time after their end, to say that they have ended.
CREATE TABLE email_token (
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  purpose TEXT NOT NULL,
  -- Keyed, since a code has 50 bits only.
  digest BLOB NOT NULL,
  -- The code itself, under the master key: for the operator, and to send it again.
  sealed BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  PRIMARY KEY (account, purpose)
) STRICT, WITHOUT ROWID;
CREATE INDEX email_token_digest ON email_token (digest);

-- Accounts that are on their way here from another server, by the hand of this one; gone when they have arrived.
CREATE TABLE move_in (
  account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  -- Its URL.
  old_server TEXT NOT NULL,
  old_handle TEXT,
  -- The key that a did:web had when the move began, as a did:key: what was written there until the end is signed with it.
  old_key TEXT,
  -- Whether the account was here before: then it stays when the move is given up.
  was_here INTEGER NOT NULL,
  -- The tokens there, under the master key.
  session BLOB NOT NULL,
  -- The rev there of what was copied.
  copied_rev TEXT,
  -- When all was copied that can be.
  copied_at INTEGER,
  code_sent_at INTEGER,
  -- The operation that lets the DID lead here, in JSON, from when the old server has signed it.
  operation TEXT,
  -- When the account was here. All that is left is to deactivate it there.
  arrived_at INTEGER
) STRICT;

-- Signing keys for accounts to come.
CREATE TABLE reserved_key (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  did TEXT UNIQUE,
  public_key TEXT NOT NULL,
  -- Under the master key, as in `account` where there is a DID.
  sealed BLOB NOT NULL
) STRICT;

-- What an app asked before its user was sent here (a pushed authorization request); gone when it is answered, or within the hour.
CREATE TABLE oauth_request (
  id TEXT PRIMARY KEY,
  -- The app and what it asked: JSON, read as a whole.
  request TEXT NOT NULL,
  -- The browser that opened it; no other may go on with it.
  device TEXT,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_request_expires ON oauth_request (expires_at);
CREATE INDEX oauth_request_created ON oauth_request (created_at);

-- An app to which a user said yes, from the first code to the end of its last token.
CREATE TABLE oauth_session (
  id TEXT PRIMARY KEY,
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  client_id TEXT NOT NULL,
  -- As in `oauth_request`.
  request TEXT NOT NULL,
  -- What the user granted, and what that stands for: the sets among the scopes spelled out.
  scope TEXT NOT NULL,
  expanded_scope TEXT NOT NULL,
  device TEXT,
  -- SHA-256 of the code. It stays, for a code that comes twice ends the session. Of a session that was adopted, that of the
  -- refresh token which the official PDS gave.
  code_digest BLOB NOT NULL UNIQUE,
  -- Thumbprint of the key that tokens are bound to; null until the code was redeemed.
  key_thumbprint TEXT,
  -- How often the refresh token was replaced. Tokens carry this number, and only the last one is good.
  refresh_count INTEGER NOT NULL DEFAULT 0,
  refreshed_at INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  -- The end of the code, then that of the refresh token.
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_session_account ON oauth_session (account);
CREATE INDEX oauth_session_expires ON oauth_session (expires_at);

-- What users granted to apps before, so that they need not be asked again.
CREATE TABLE oauth_consent (
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  client_id TEXT NOT NULL,
  scope TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (account, client_id)
) STRICT, WITHOUT ROWID;

-- DIDs that the PLC directory may have, or get any moment, while their account is not made yet: written before it is asked,
-- deleted with the making of the account. What a crash leaves here is ended (account/pending_did.rs).
CREATE TABLE pending_did (
  did TEXT PRIMARY KEY,
  handle TEXT NOT NULL,
  -- The operation that makes the DID, signed, as JSON.
  operation TEXT NOT NULL,
  -- Under the master key, as in `account`.
  signing_key BLOB NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What apps store for their users: JSON as it came, in its order.
CREATE TABLE preference (
  account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  type TEXT NOT NULL,
  json TEXT NOT NULL,
  PRIMARY KEY (account, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE invite_code (
  code TEXT PRIMARY KEY,
  available_uses INTEGER NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0,
  for_account TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invite_code_for_account ON invite_code (for_account);

CREATE TABLE invite_code_use (
  code TEXT NOT NULL REFERENCES invite_code (code) ON DELETE CASCADE,
  used_by TEXT NOT NULL,
  used_at INTEGER NOT NULL,
  PRIMARY KEY (code, used_by)
) STRICT, WITHOUT ROWID;
CREATE INDEX invite_code_use_used_by ON invite_code_use (used_by);

-- Handles that the operator keeps back: whole ones, or the part before the domain of the server.
CREATE TABLE reserved_handle (
  name TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The head of a repo, and the tree nodes that its last commits made. A node that the next commits replace, as they mostly do,
-- never reaches `node`: one row is rewritten where a handful would come and go.
CREATE TABLE repo (
  account INTEGER PRIMARY KEY REFERENCES account (id) ON DELETE CASCADE,
  head BLOB NOT NULL,
  rev INTEGER NOT NULL,
  data BLOB NOT NULL,
  commit_block BLOB NOT NULL,
  fresh_nodes BLOB NOT NULL
) STRICT;

-- Repo numbers that are not (any more) that of an account, and whose rows are deleted bit by bit: those of an import until it is
-- done, of the repo that it replaced, of an account that is gone. Every number comes from here.
CREATE TABLE unused_repo (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  -- Whose blobs the references under it are of.
  account INTEGER NOT NULL
) STRICT;
CREATE INDEX unused_repo_account ON unused_repo (account);

-- Tree nodes that are not among `repo.fresh_nodes`. `rev` is the commit that made the node.
CREATE TABLE node (
  repo INTEGER NOT NULL,
  cid BLOB NOT NULL,
  rev INTEGER NOT NULL,
  block BLOB NOT NULL,
  PRIMARY KEY (repo, cid)
) STRICT, WITHOUT ROWID;

-- Certificates that were ordered, by name, which may be a wildcard.
CREATE TABLE tls_certificate (
  name TEXT PRIMARY KEY,
  -- PEM.
  chain TEXT NOT NULL,
  -- PKCS#8, sealed under the master key.
  sealed_key BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The account at each certificate authority, sealed under the master key.
CREATE TABLE acme_account (
  directory TEXT PRIMARY KEY,
  sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- When certificates were ordered, for a week: the authority gives only so many, also to a server that starts over and over.
CREATE TABLE tls_order (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT;
CREATE INDEX tls_order_at ON tls_order (at);

-- `path` is `<collection>/<rkey>`, so the rows of a repo lie in the order of its tree.
CREATE TABLE record (
  repo INTEGER NOT NULL,
  path TEXT NOT NULL,
  cid BLOB NOT NULL,
  rev INTEGER NOT NULL,
  block BLOB NOT NULL,
  takedown_ref TEXT,
  PRIMARY KEY (repo, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_takedown ON record (repo, path) WHERE takedown_ref IS NOT NULL;

-- Of what the follows (1), blocks (2), likes (3) and reposts (4) of a repo are; it follows from `record`. `subject` is the
-- first half of the SHA-256 of a DID or URI.
CREATE TABLE backlink (
  repo INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  subject BLOB NOT NULL,
  rkey TEXT NOT NULL,
  PRIMARY KEY (repo, kind, subject, rkey)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob (
  account INTEGER NOT NULL,
  cid BLOB NOT NULL,
  mime_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  -- Set until a record refers to the blob, be it under a number that is in `unused_repo`.
  temporary INTEGER NOT NULL,
  takedown_ref TEXT,
  PRIMARY KEY (account, cid)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_cid ON blob (cid);
-- For backups, which look for the blobs that came since.
CREATE INDEX blob_created_at ON blob (created_at, cid);
CREATE INDEX blob_temporary ON blob (created_at) WHERE temporary = 1;

CREATE TABLE blob_ref (
  repo INTEGER NOT NULL,
  path TEXT NOT NULL,
  cid BLOB NOT NULL,
  rev INTEGER NOT NULL,
  PRIMARY KEY (repo, path, cid)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_ref_cid ON blob_ref (repo, cid);

-- Accounts that are gone while blobs or events of theirs are left, to be deleted bit by bit; `seq` announced that they are gone.
CREATE TABLE deletion (
  account INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL
) STRICT;

-- What each crawler said last of this server (crawlers/report.rs): `seq` is the last event that it read, `own_seq` was the last
-- one here, `unread` those in between, up to a bound, the first of them from `unread_since`.
CREATE TABLE crawler (
  host TEXT PRIMARY KEY,
  asked_at INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT,
  status TEXT,
  seq INTEGER,
  own_seq INTEGER,
  unread INTEGER,
  unread_since INTEGER,
  accounts INTEGER
) STRICT, WITHOUT ROWID;

-- The firehose: `frame` is what subscribers get, byte for byte, up to what is in `packed_tail` (packed.rs), which follows it.
CREATE TABLE event (
  seq INTEGER PRIMARY KEY,
  account INTEGER NOT NULL,
  time INTEGER NOT NULL,
  frame BLOB NOT NULL,
  packed_tail BLOB
) STRICT;
