"""Drives a running server with the Python SDK of the network, as a bot or a feed generator would use it.

Run from this folder with `python -m unittest -v`.
"""

import hashlib
import queue
import struct
import threading
import unittest
import zlib

import libipld
from atproto import (
    CAR,
    CID,
    AtUri,
    Client,
    FirehoseSubscribeReposClient,
    IdResolver,
    models,
    parse_subscribe_repos_message,
    verify_jwt,
    verify_signature,
)
from atproto.exceptions import BadRequestError, UnauthorizedError

from server import Server

POST = 'app.bsky.feed.post'
WAIT_S = 30


def png(size, colour):
    """A PNG of `size` x `size` pixels in one colour."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    header = struct.pack('>IIBBBBB', size, size, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b'\0' + bytes(colour) * size) * size)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')


class Events:
    """Follows the firehose from its beginning in a thread of its own."""

    def __init__(self, server):
        uri = server.pds.replace('http', 'ws', 1) + '/xrpc'
        self._client = FirehoseSubscribeReposClient({'cursor': 0}, base_uri=uri)
        self._queue = queue.Queue()
        self.seen = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self._client.start(lambda message: self._queue.put(parse_subscribe_repos_message(message)), self._queue.put)
        except Exception as err:  # noqa: BLE001: whatever ends the thread belongs to the test that waits.
            self._queue.put(err)

    def until(self, matches):
        """Returns the first event, past or to come, that `matches`."""
        for event in self.seen:
            if matches(event):
                return event
        while True:
            event = self._queue.get(timeout=WAIT_S)
            if isinstance(event, Exception):
                raise event
            self.seen.append(event)
            if matches(event):
                return event

    def stop(self):
        self._client.stop()
        self._thread.join(WAIT_S)


class SdkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)
        cls.resolver = IdResolver(plc_url=cls.server.plc)
        cls.events = Events(cls.server)
        cls.addClassCleanup(cls.events.stop)
        cls.accounts = 0

    def account(self, name):
        """Creates an account through the API and logs in to it."""
        type(self).accounts += 1
        handle = f'{name}-{self.accounts}{self.server.handle_domain}'
        client = Client(self.server.pds)
        made = client.com.atproto.server.create_account(
            models.ComAtprotoServerCreateAccount.Data(handle=handle, email=f'{name}@example.com', password='pass word')
        )
        self.assertEqual(made.handle, handle)
        client.login(handle, 'pass word', fetch_bsky_profile=False)
        # The SDK knows an account by its profile, which only an AppView has.
        client.did, client.handle = made.did, handle
        return client

    def record(self, client, uri):
        at = AtUri.from_str(uri)
        params = {'repo': client.did, 'collection': at.collection, 'rkey': at.rkey}
        return client.com.atproto.repo.get_record(params)

    def assert_refused(self, call, error, kind=BadRequestError):
        with self.assertRaises(kind) as refused:
            call()
        self.assertEqual(refused.exception.response.content.error, error)

    def commit_of(self, client, path):
        """Returns the commit event with an operation at `path`, with its operation and the blocks of its CAR."""

        def matches(event):
            return getattr(event, 'repo', None) == client.did and any(op.path == path for op in event.ops)

        event = self.events.until(matches)
        return event, next(op for op in event.ops if op.path == path), CAR.from_bytes(event.blocks)

    def test_sessions(self):
        client = self.account('session')
        session = client.com.atproto.server.get_session()
        self.assertEqual((session.did, session.handle, session.active), (client.did, client.handle, True))
        resumed = Client(self.server.pds)
        resumed.login(session_string=client.export_session_string(), fetch_bsky_profile=False)
        self.assertEqual(resumed.com.atproto.server.get_session().did, client.did)
        wrong = Client(self.server.pds)
        self.assert_refused(
            lambda: wrong.login(client.handle, 'wrong', fetch_bsky_profile=False),
            'AuthenticationRequired',
            UnauthorizedError,
        )

    def test_post_with_an_image(self):
        client = self.account('image')
        image = png(24, (10, 200, 30))
        blob = client.upload_blob(image).blob
        self.assertEqual((blob.mime_type, blob.size), ('image/png', len(image)))
        embed = models.AppBskyEmbedImages.Main(images=[models.AppBskyEmbedImages.Image(alt='green', image=blob)])
        record = models.AppBskyFeedPost.Record(
            text='an image', created_at=client.get_current_time_iso(), embed=embed, langs=['en']
        )
        made = client.app.bsky.feed.post.create(client.did, record)

        held = self.record(client, made.uri)
        self.assertEqual(held.cid, made.cid)
        self.assertEqual(held.value.text, 'an image')
        cid = held.value.embed.images[0].image.ref.link
        self.assertEqual(CID.decode(cid).hash.digest, hashlib.sha256(image).digest())
        self.assertEqual(client.com.atproto.sync.get_blob({'did': client.did, 'cid': cid}), image)
        self.assertEqual(client.com.atproto.sync.list_blobs({'did': client.did}).cids, [cid])

        _, op, car = self.commit_of(client, AtUri.from_str(made.uri).collection + '/' + AtUri.from_str(made.uri).rkey)
        self.assertEqual((op.action, str(op.cid)), ('create', made.cid))
        self.assertEqual(car.blocks[op.cid]['text'], 'an image')

    def test_follow_like_and_their_undoing(self):
        client, other = self.account('fan'), self.account('star')
        now = client.get_current_time_iso()
        post = other.app.bsky.feed.post.create(other.did, models.AppBskyFeedPost.Record(text='like me', created_at=now))
        follow = client.app.bsky.graph.follow.create(
            client.did, models.AppBskyGraphFollow.Record(subject=other.did, created_at=now)
        )
        subject = models.ComAtprotoRepoStrongRef.Main(uri=post.uri, cid=post.cid)
        like = client.app.bsky.feed.like.create(client.did, models.AppBskyFeedLike.Record(subject=subject, created_at=now))
        self.assertEqual(self.record(client, follow.uri).value.subject, other.did)
        self.assertEqual(self.record(client, like.uri).value.subject.uri, post.uri)

        for uri in (follow.uri, like.uri):
            at = AtUri.from_str(uri)
            path = f'{at.collection}/{at.rkey}'
            delete = {'repo': client.did, 'collection': at.collection, 'rkey': at.rkey}
            client.com.atproto.repo.delete_record(delete)
            self.assert_refused(lambda uri=uri: self.record(client, uri), 'RecordNotFound')
            gone = self.events.until(
                lambda e, path=path: getattr(e, 'repo', None) == client.did
                and any(op.action == 'delete' and op.path == path for op in e.ops)
            )
            self.assertIsNone(gone.ops[0].cid)

    def test_list_records_in_pages(self):
        client = self.account('pages')
        create = models.ComAtprotoRepoApplyWrites.Create
        writes = [
            create(collection='com.example.note', rkey=f'note-{i}', value={'$type': 'com.example.note', 'n': i})
            for i in range(9)
        ]
        client.com.atproto.repo.apply_writes(models.ComAtprotoRepoApplyWrites.Data(repo=client.did, writes=writes))
        seen, cursor = [], None
        while True:
            params = {'repo': client.did, 'collection': 'com.example.note', 'limit': 4, 'cursor': cursor}
            page = client.com.atproto.repo.list_records(params)
            seen += [record.value['n'] for record in page.records]
            if not page.records or not page.cursor:
                break
            cursor = page.cursor
        self.assertEqual(seen, list(range(8, -1, -1)))

    def test_edit_with_swap(self):
        client = self.account('swap')
        now = client.get_current_time_iso()
        made = client.app.bsky.feed.post.create(client.did, models.AppBskyFeedPost.Record(text='one', created_at=now))

        def put(text, swap):
            data = models.ComAtprotoRepoPutRecord.Data(
                repo=client.did,
                collection=POST,
                rkey=AtUri.from_str(made.uri).rkey,
                record={'$type': POST, 'text': text, 'createdAt': now},
                swap_record=swap,
            )
            return client.com.atproto.repo.put_record(data)

        second = put('two', made.cid)
        self.assert_refused(lambda: put('three', made.cid), 'InvalidSwap')
        self.assertEqual(self.record(client, made.uri).cid, second.cid)

    def test_the_did_leads_here(self):
        client = self.account('resolve')
        data = self.resolver.did.resolve_atproto_data(client.did)
        self.assertEqual((data.did, data.handle), (client.did, client.handle))
        there = Client(data.pds).com.atproto.server.describe_server()
        self.assertEqual(there.did, Client(self.server.pds).com.atproto.server.describe_server().did)
        self.assertEqual(client.resolve_handle(client.handle).did, client.did)

    def test_service_auth(self):
        client = self.account('service')
        audience = 'did:web:feed.example.com'
        method = 'app.bsky.feed.getFeedSkeleton'
        token = client.com.atproto.server.get_service_auth({'aud': audience, 'lxm': method}).token
        claims = verify_jwt(token, self.resolver.did.resolve_atproto_key, audience)
        self.assertEqual((claims.iss, claims.lxm), (client.did, method))

    def test_commits_are_signed_by_the_account(self):
        client = self.account('signed')
        now = client.get_current_time_iso()
        made = client.app.bsky.feed.post.create(client.did, models.AppBskyFeedPost.Record(text='signed', created_at=now))
        at = AtUri.from_str(made.uri)
        event, _, car = self.commit_of(client, f'{at.collection}/{at.rkey}')
        self.assertEqual(str(car.root), str(event.commit))
        latest = client.com.atproto.sync.get_latest_commit({'did': client.did})
        self.assertEqual((event.rev, str(event.commit)), (latest.rev, latest.cid))
        self.assert_signed(client, car, event.rev)

        whole = CAR.from_bytes(client.com.atproto.sync.get_repo({'did': client.did}))
        self.assertEqual(str(whole.root), latest.cid)
        self.assert_signed(client, whole, event.rev)
        self.assertIn('signed', [block.get('text') for block in whole.blocks.values()])

    def assert_signed(self, client, car, rev):
        commit = dict(car.blocks[car.root])
        signature = commit.pop('sig')
        self.assertEqual((commit['did'], commit['rev'], commit['version']), (client.did, rev, 3))
        key = self.resolver.did.resolve_atproto_key(client.did)
        self.assertTrue(verify_signature(key, libipld.encode_dag_cbor(commit), signature))
        self.assertFalse(verify_signature(key, libipld.encode_dag_cbor({**commit, 'rev': 'x'}), signature))

    def test_seq_grows_and_revs_form_a_chain(self):
        client = self.account('chain')
        now = client.get_current_time_iso()
        for i in range(10):
            last = client.app.bsky.feed.post.create(client.did, models.AppBskyFeedPost.Record(text=str(i), created_at=now))
        at = AtUri.from_str(last.uri)
        self.commit_of(client, f'{at.collection}/{at.rkey}')
        seqs = [event.seq for event in self.events.seen]
        self.assertEqual(seqs, sorted(set(seqs)))
        revs = {}
        for event in self.events.seen:
            if hasattr(event, 'ops'):
                self.assertEqual(event.since, revs.get(event.repo))
                revs[event.repo] = event.rev


if __name__ == '__main__':
    unittest.main()
