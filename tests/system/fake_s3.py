"""An S3 server that is stricter than real ones. Everything in memory, standard library only.

It takes nothing on trust: the signature is computed anew from the bytes that came (Signature Version 4,
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html), host, content-type and every x-amz-* header must
be signed, paths and queries must be percent-encoded as they are signed, the body must match its SHA-256 and its MD5, the region
must be right and the clock within 15 minutes. Parts of multipart uploads must be 5 MiB but for the last, in order, with the
right ETags. An object is there whole or not at all. Errors are the codes of
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.

It spoils nothing: for that there is fault_proxy.py. What it can be told: deny(action) as a bucket policy would, clock_ahead,
page (keys of one listing, small to see the paging), credentials that end.
"""
import base64
import calendar
import email.utils
import hashlib
import http.server
import re
import secrets
import ssl
import sys
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

from s3_client import encoded, parse_xml, signature

MIN_PART, MAX_PARTS, MAX_SKEW = 5 << 20, 10000, 15 * 60
UNSIGNED = "UNSIGNED-PAYLOAD"
STORAGE_CLASSES = {"STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"}
# What is kept with an object as it came.
KEPT = re.compile(r"x-amz-meta-.*|content-type|cache-control|content-encoding|content-disposition"
                  r"|x-amz-storage-class|x-amz-server-side-encryption.*")


class Refused(Exception):
    def __init__(self, status, code, message, **more):
        super().__init__(code)
        self.status, self.code, self.message, self.more = status, code, message, more


class Key:
    """Of somebody who may come. `ends` (Unix time) and `token` for temporary ones."""

    def __init__(self, secret, token=None, ends=None):
        self.secret, self.token, self.ends = secret, token, ends


class Object:
    def __init__(self, data, headers, etag=None):
        self.data, self.headers, self.modified = data, headers, time.time()
        self.etag = etag or hashlib.md5(data).hexdigest()


class Upload:
    def __init__(self, bucket, key, headers):
        self.bucket, self.key, self.headers, self.parts = bucket, key, headers, {}


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # clients may go as they like, or dislike our certificate
            super().handle_error(request, client_address)


class FakeS3:
    """Listens from the beginning; stop() ends it. Everything may be read and changed while it runs."""

    def __init__(self, port=0, certificate=None, private_key=None, region="us-east-1", page=1000, domain="s3.localhost"):
        self.region, self.page, self.domain = region, page, domain
        self.clock_ahead = 0  # s: how far this server's clock is before the real one
        self.https = certificate is not None
        self.keys, self.buckets, self.uploads, self.denied = {}, {}, {}, set()
        self.only_encrypted = False  # as a bucket policy: what is put without encryption is refused
        self.sealed = set()  # keys of objects that are another account's: who asks for them is refused
        self.log = []     # "PUT /bucket/key 200"
        self.lock = threading.RLock()
        self._server = Listener(("127.0.0.1", port), type("BoundHandler", (Handler,), {"s3": self}))
        if self.https:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, private_key)
            # The handshake is each connection's own affair: it must not hold up the others.
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def add_key(self, access_key, secret, token=None, seconds=None):
        self.keys[access_key] = Key(secret, token, seconds and time.time() + seconds)

    def deny(self, *actions):
        """From now on nobody may do that: "s3:DeleteObject"."""
        self.denied.update(actions)

    def allow(self, *actions):
        self.denied.difference_update(actions)


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection. self.s3 is the FakeS3."""

    s3 = None
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "FakeS3", ""
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle_expect_100(self):
        super().handle_expect_100()
        self.wfile.flush()
        return True

    # --- one request ---

    def do(self):
        try:
            self.fields = {name.lower(): value.strip() for name, value in self.headers.items()}
            self.request_id = secrets.token_hex(8).upper()
            self.body = self.read_body()
            self.understand()
            self.authenticate()
            with self.s3.lock:
                self.route()
        except Refused as refused:
            self.refuse(refused)
        except ConnectionError:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do

    def read_body(self):
        if "transfer-encoding" in self.fields:
            self.close_connection = True
            raise Refused(501, "NotImplemented", "A header you provided implies functionality that is not implemented: Transfer-Encoding")
        if "content-length" not in self.fields:
            if self.command in ("PUT", "POST"):
                self.close_connection = True
                raise Refused(411, "MissingContentLength", "You must provide the Content-Length HTTP header")
            return b""
        wanted = int(self.fields["content-length"])
        body = self.rfile.read(wanted)
        if len(body) != wanted:
            raise ConnectionError("the request ended early")
        return body

    def understand(self):
        """The target, as it came: http.server's self.path has slashes folded."""
        target = self.raw_requestline.split()[1].decode("latin-1")
        self.raw_path, _, raw_query = target.partition("?")
        path = urllib.parse.unquote(self.raw_path, errors="strict")
        if not self.raw_path.startswith("/") or encoded(path, "/") != self.raw_path:
            raise Refused(400, "InvalidURI", f"The path is not encoded as it must be: {self.raw_path}, not {encoded(path, '/')}")
        self.raw_query = []
        for pair in filter(None, raw_query.split("&")):
            name, _, value = pair.partition("=")
            name, value = urllib.parse.unquote(name), urllib.parse.unquote(value)
            self.raw_query.append((encoded(name), encoded(value)))
            if pair.replace("/", "%2F") not in (f"{encoded(name)}={encoded(value)}", encoded(name)):
                raise Refused(400, "InvalidURI", f"The query is not encoded as it must be: {pair}")
        self.query = {urllib.parse.unquote(n): urllib.parse.unquote(v) for n, v in self.raw_query}
        host = self.fields.get("host", "").rsplit(":", 1)[0]
        if host.endswith("." + self.s3.domain):
            self.bucket_name, self.key = host[:-len(self.s3.domain) - 1], path[1:]
        else:
            self.bucket_name, _, self.key = path[1:].partition("/")

    # --- is it who it says, and is it what was sent? ---

    def authenticate(self):
        text = self.fields.get("authorization")
        if text is None:
            raise Refused(403, "AccessDenied", "Anonymous access is not allowed")
        match = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^ ,]+?)/(\d{8})/([^,/]*)/s3/aws4_request, ?SignedHeaders=([^, ]+),"
                             r" ?Signature=([0-9a-f]{64})", text)
        if not match:
            raise Refused(400, "AuthorizationHeaderMalformed", "The authorization header is malformed")
        access_key, day, region, names, claimed = match.groups()
        if region != self.s3.region:
            raise Refused(400, "AuthorizationHeaderMalformed", f"The authorization header is malformed; the region '{region}' is wrong; "
                          f"expecting '{self.s3.region}'", Region=self.s3.region)
        key = self.s3.keys.get(access_key)
        if key is None:
            raise Refused(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        self.check_clock(day)
        self.check_headers(names.split(";"))
        self.check_body()
        lines = "".join(f"{n}:{' '.join(self.fields[n].split())}\n" for n in names.split(";"))
        query = "&".join(f"{n}={v}" for n, v in sorted(self.raw_query))
        request = "\n".join([self.command, self.raw_path, query, lines, names, self.fields["x-amz-content-sha256"]])
        if not secrets.compare_digest(signature(key.secret, self.fields["x-amz-date"], region, request), claimed):
            raise Refused(403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
        if key.token != self.fields.get("x-amz-security-token"):
            raise Refused(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
        if key.ends is not None and time.time() > key.ends:
            raise Refused(400, "ExpiredToken", "The provided token has expired.")

    def check_clock(self, day):
        stamp = self.fields.get("x-amz-date", "")
        if not re.fullmatch(r"\d{8}T\d{6}Z", stamp) or stamp[:8] != day:
            raise Refused(403, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
        now = time.time() + self.s3.clock_ahead
        if abs(calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ")) - now) > MAX_SKEW:
            raise Refused(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.",
                          RequestTime=stamp, ServerTime=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))

    def check_headers(self, signed):
        if signed != sorted(set(signed)) or not set(signed) <= set(self.fields):
            raise Refused(400, "AuthorizationHeaderMalformed", "SignedHeaders must be sorted and there")
        must = {n for n in self.fields if n.startswith("x-amz-") or n in ("host", "content-type", "content-md5")}
        if not must <= set(signed):
            raise Refused(403, "AccessDenied", "There were headers present in the request which were not signed",
                          HeadersNotSigned=",".join(sorted(must - set(signed))))
        for name, value in self.fields.items():
            if name.startswith("x-amz-meta-") and not value.isascii():
                raise Refused(400, "InvalidArgument", f"{name} is not ASCII")
        if sum(len(n) + len(v) for n, v in self.fields.items() if n.startswith("x-amz-meta-")) > 2048:
            raise Refused(400, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")

    def check_body(self):
        claimed, md5 = self.fields.get("x-amz-content-sha256"), self.fields.get("content-md5")
        if claimed is None:
            raise Refused(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
        if claimed == UNSIGNED:
            if not self.s3.https and md5 is None:
                raise Refused(400, "InvalidRequest", "An unsigned body over http needs at least its Content-MD5")
        elif not re.fullmatch("[0-9a-f]{64}", claimed):
            raise Refused(501, "NotImplemented", f"x-amz-content-sha256: {claimed}")
        elif hashlib.sha256(self.body).hexdigest() != claimed:
            raise Refused(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
        if md5 is not None:
            if not re.fullmatch(r"[A-Za-z0-9+/]{22}==", md5):
                raise Refused(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
            if base64.b64decode(md5) != hashlib.md5(self.body).digest():
                raise Refused(400, "BadDigest", "The Content-MD5 you specified did not match what we received.")

    def may(self, action):
        if action in self.s3.denied:
            raise Refused(403, "AccessDenied", "Access Denied")

    # --- what it asks for ---

    def route(self):
        if not self.bucket_name:
            return self.answer_xml("ListAllMyBucketsResult", "<Owner/><Buckets>" + "".join(
                f"<Bucket><Name>{b}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>" for b in self.s3.buckets) + "</Buckets>")
        if not self.key:
            return self.route_bucket()
        if len(self.key.encode()) > 1024:
            raise Refused(400, "KeyTooLongError", "Your key is too long")
        self.bucket = self.existing_bucket()
        which = (self.command, "uploadId" in self.query, "uploads" in self.query)
        handlers = {("PUT", False, False): self.put_object, ("GET", False, False): self.get_object, ("HEAD", False, False): self.get_object,
                    ("DELETE", False, False): self.delete_object, ("POST", False, True): self.create_upload,
                    ("PUT", True, False): self.upload_part, ("POST", True, False): self.complete_upload,
                    ("DELETE", True, False): self.abort_upload, ("GET", True, False): self.list_parts}
        if which not in handlers or "x-amz-copy-source" in self.fields:
            raise Refused(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
        known = {"uploadId", "uploads", "partNumber", "max-parts", "part-number-marker", "x-id"}
        if not set(self.query) <= known:
            raise Refused(501, "NotImplemented", f"query {self.query}")
        return handlers[which]()

    def existing_bucket(self):
        if self.bucket_name not in self.s3.buckets:
            raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
        return self.s3.buckets[self.bucket_name]

    def route_bucket(self):
        if self.command == "PUT" and not self.query:
            if self.bucket_name in self.s3.buckets:
                raise Refused(409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded.")
            self.s3.buckets[self.bucket_name] = {}
            return self.answer(200)
        self.bucket = self.existing_bucket()
        if self.command == "HEAD":
            self.may("s3:ListBucket")
            return self.answer(200, headers={"x-amz-bucket-region": self.s3.region})
        if self.command == "GET" and "location" in self.query:
            where = "" if self.s3.region == "us-east-1" else self.s3.region
            return self.answer_xml("LocationConstraint", where)
        if self.command == "GET" and "uploads" in self.query:
            return self.list_uploads()
        if self.command == "POST" and "delete" in self.query:
            return self.delete_many()
        if self.command == "GET" and not set(self.query) - {"list-type", "prefix", "delimiter", "max-keys", "continuation-token", "start-after",
                                                            "marker", "encoding-type", "fetch-owner"}:
            return self.list_objects()
        raise Refused(501, "NotImplemented", f"{self.command} of a bucket with {self.query}")

    def list_objects(self):
        """Both versions. Keys are sorted by their UTF-8 bytes."""
        self.may("s3:ListBucket")
        second, prefix, delimiter = self.query.get("list-type") == "2", self.query.get("prefix", ""), self.query.get("delimiter", "")
        limit = min(int(self.query.get("max-keys", 1000)), self.s3.page)
        if second and "continuation-token" in self.query:
            after = base64.urlsafe_b64decode(self.query["continuation-token"]).decode()
        else:
            after = self.query.get("start-after" if second else "marker", "")
        name, encoding = self.naming()
        rows, last, common, more = [], "", set(), False
        for key in sorted(self.bucket, key=str.encode):
            if not key.startswith(prefix) or key.encode() <= after.encode():
                continue
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            group = key[:end + len(delimiter)] if end >= 0 else None
            if group is not None and (group in common or group.encode() <= after.encode()):
                continue
            if len(rows) == limit:
                more = True
                break
            last = group or key
            if group is not None:
                common.add(group)
                rows.append(f"<CommonPrefixes><Prefix>{name(group)}</Prefix></CommonPrefixes>")
            else:
                item = self.bucket[key]
                rows.append(f"<Contents><Key>{name(key)}</Key><LastModified>{iso(item.modified)}</LastModified><ETag>&quot;{item.etag}&quot;</ETag>"
                            f"<Size>{len(item.data)}</Size><StorageClass>STANDARD</StorageClass></Contents>")
        token = base64.urlsafe_b64encode(last.encode()).decode()
        following = (f"<NextContinuationToken>{token}</NextContinuationToken>" if second else f"<NextMarker>{name(last)}</NextMarker>") if more else ""
        self.answer_xml("ListBucketResult", f"<Name>{self.bucket_name}</Name><Prefix>{name(prefix)}</Prefix><KeyCount>{len(rows)}</KeyCount>"
                        f"<MaxKeys>{limit}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{encoding}{following}" + "".join(rows))

    def naming(self):
        """How keys are written in a listing, and how that is said."""
        return (encoded, "<EncodingType>url</EncodingType>") if self.query.get("encoding-type") == "url" else (escape, "")

    def put_object(self):
        self.may("s3:PutObject")
        if self.fields.get("if-none-match") == "*" and self.key in self.bucket:
            raise Refused(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        item = self.bucket[self.key] = Object(self.body, self.kept_headers())
        self.answer(200, headers={"ETag": f'"{item.etag}"'})

    def kept_headers(self):
        kept = {n: v for n, v in self.fields.items() if KEPT.fullmatch(n)}
        encryption = kept.get("x-amz-server-side-encryption")
        if encryption not in (None, "AES256", "aws:kms") or kept.get("x-amz-storage-class", "STANDARD") not in STORAGE_CLASSES:
            raise Refused(400, "InvalidArgument", f"encryption {encryption} or storage class {kept.get('x-amz-storage-class')}")
        if self.s3.only_encrypted and encryption is None:
            raise Refused(403, "AccessDenied", "Access Denied")
        if "x-amz-server-side-encryption-aws-kms-key-id" in kept and encryption != "aws:kms":
            raise Refused(400, "InvalidArgument", "a key id without aws:kms")
        return kept

    def existing_object(self):
        if self.key not in self.bucket:
            self.may("s3:ListBucket")  # who may not list is not told what is missing
            raise Refused(404, "NoSuchKey", "The specified key does not exist.")
        return self.bucket[self.key]

    def get_object(self):
        self.may("s3:GetObject")
        if self.key in self.s3.sealed:
            raise Refused(403, "AccessDenied", "Access Denied")
        item = self.existing_object()
        if self.fields.get("if-match", "*").strip('"') not in ("*", item.etag):
            raise Refused(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        headers = {"ETag": f'"{item.etag}"', "Last-Modified": email.utils.formatdate(item.modified, usegmt=True), "Accept-Ranges": "bytes",
                   "Content-Type": "binary/octet-stream", **{n.title(): v for n, v in item.headers.items()}}
        if "range" not in self.fields:
            return self.answer(200, item.data, headers)
        match, size = re.fullmatch(r"bytes=(\d*)-(\d*)", self.fields["range"]), len(item.data)
        first, last = match.groups() if match else ("", "")
        begin = int(first) if first else size - int(last or 0)
        end = min(int(last) + 1 if first and last else size, size)
        if not 0 <= begin < end:
            raise Refused(416, "InvalidRange", "The requested range is not satisfiable")
        return self.answer(206, item.data[begin:end], {**headers, "Content-Range": f"bytes {begin}-{end - 1}/{size}"})

    def delete_object(self):
        self.may("s3:DeleteObject")
        self.bucket.pop(self.key, None)
        self.answer(204)

    def delete_many(self):
        self.may("s3:DeleteObject")
        if "content-md5" not in self.fields:
            raise Refused(400, "InvalidRequest", "Missing required header for this request: Content-MD5")
        keys = [item.findtext("Key") for item in parse_xml(self.body).findall("Object")]
        for key in keys:
            self.bucket.pop(key, None)
        self.answer_xml("DeleteResult", "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys))

    # --- multipart uploads ---

    def create_upload(self):
        self.may("s3:PutObject")
        upload = secrets.token_urlsafe(24)
        self.s3.uploads[upload] = Upload(self.bucket_name, self.key, self.kept_headers())
        self.answer_xml("InitiateMultipartUploadResult", f"<Bucket>{self.bucket_name}</Bucket><Key>{escape(self.key)}</Key><UploadId>{upload}</UploadId>")

    def existing_upload(self):
        upload = self.s3.uploads.get(self.query["uploadId"])
        if upload is None or (upload.bucket, upload.key) != (self.bucket_name, self.key):
            raise Refused(404, "NoSuchUpload", "The specified multipart upload does not exist.")
        return upload

    def upload_part(self):
        self.may("s3:PutObject")
        upload, number = self.existing_upload(), self.query.get("partNumber", "")
        if not number.isdigit() or not 1 <= int(number) <= MAX_PARTS:
            raise Refused(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
        if any(KEPT.fullmatch(n) and n != "content-type" for n in self.fields):
            raise Refused(400, "InvalidArgument", "what belongs to the object is said when the upload is created")
        etag = hashlib.md5(self.body).hexdigest()
        upload.parts[int(number)] = (etag, self.body)
        self.answer(200, headers={"ETag": f'"{etag}"'})

    def complete_upload(self):
        self.may("s3:PutObject")
        upload = self.existing_upload()
        try:
            wanted = [(int(p.findtext("PartNumber")), p.findtext("ETag").strip('"')) for p in parse_xml(self.body).findall("Part")]
        except Exception as error:
            raise Refused(400, "MalformedXML", "The XML you provided was not well-formed") from error
        if not wanted:
            raise Refused(400, "MalformedXML", "no parts")
        if [n for n, _ in wanted] != sorted({n for n, _ in wanted}):
            raise Refused(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        if any(upload.parts.get(n, ("", b""))[0] != etag for n, etag in wanted):
            raise Refused(400, "InvalidPart", "One or more of the specified parts could not be found.")
        if any(len(upload.parts[n][1]) < MIN_PART for n, _ in wanted[:-1]):
            raise Refused(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        if self.fields.get("if-none-match") == "*" and self.key in self.bucket:
            raise Refused(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
        etag = hashlib.md5(b"".join(bytes.fromhex(e) for _, e in wanted)).hexdigest() + f"-{len(wanted)}"
        self.bucket[self.key] = Object(b"".join(upload.parts[n][1] for n, _ in wanted), upload.headers, etag)
        del self.s3.uploads[self.query["uploadId"]]
        self.answer_xml("CompleteMultipartUploadResult", f"<Bucket>{self.bucket_name}</Bucket><Key>{escape(self.key)}</Key><ETag>&quot;{etag}&quot;</ETag>")

    def abort_upload(self):
        self.may("s3:AbortMultipartUpload")
        self.existing_upload()
        del self.s3.uploads[self.query["uploadId"]]
        self.answer(204)

    def list_parts(self):
        self.may("s3:ListMultipartUploadParts")
        upload, after = self.existing_upload(), int(self.query.get("part-number-marker", 0))
        left = [n for n in sorted(upload.parts) if n > after]
        page = left[:self.s3.page]
        self.answer_xml("ListPartsResult", f"<IsTruncated>{str(len(page) < len(left)).lower()}</IsTruncated>"
                        f"<NextPartNumberMarker>{page[-1] if page else 0}</NextPartNumberMarker>" + "".join(
                            f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;{upload.parts[n][0]}&quot;</ETag><Size>{len(upload.parts[n][1])}</Size></Part>"
                            for n in page))

    def list_uploads(self):
        self.may("s3:ListBucketMultipartUploads")
        prefix, after = self.query.get("prefix", ""), (self.query.get("key-marker", ""), self.query.get("upload-id-marker", ""))
        left = [(u.key, i) for i, u in sorted(self.s3.uploads.items(), key=lambda pair: (pair[1].key, pair[0]))
                if u.bucket == self.bucket_name and u.key.startswith(prefix) and (u.key, i) > after]
        page = left[:self.s3.page]
        name, encoding = self.naming()
        following = f"<NextKeyMarker>{name(page[-1][0])}</NextKeyMarker><NextUploadIdMarker>{page[-1][1]}</NextUploadIdMarker>" if page else ""
        self.answer_xml("ListMultipartUploadsResult", f"<IsTruncated>{str(len(page) < len(left)).lower()}</IsTruncated>{encoding}{following}" + "".join(
            f"<Upload><Key>{name(k)}</Key><UploadId>{i}</UploadId><Initiated>{iso(time.time())}</Initiated></Upload>" for k, i in page))

    # --- answers ---

    def answer(self, status, body=b"", headers=None):
        self.s3.log.append(f"{self.command} {self.raw_requestline.split()[1].decode('latin-1')} {status}")
        self.send_response_only(status)
        now = time.time() + self.s3.clock_ahead
        for name, value in {"Date": email.utils.formatdate(now, usegmt=True), "x-amz-request-id": self.request_id, **(headers or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def answer_xml(self, root, text, status=200):
        self.answer(status, f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{text}</{root}>'.encode(),
                    {"Content-Type": "application/xml"})

    def refuse(self, refused):
        more = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in refused.more.items())
        body = (f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{refused.code}</Code><Message>{escape(refused.message)}</Message>{more}'
                f"<RequestId>{self.request_id}</RequestId></Error>").encode()
        self.answer(refused.status, body, {"Content-Type": "application/xml"})

    def log_message(self, *_):
        pass


def iso(when):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(when))
