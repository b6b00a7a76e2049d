"""A small S3 client of the tests' own: to make buckets, to put objects there as others would, and to look what is really there.

Signatures are AWS Signature Version 4: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""
import hashlib
import hmac
import http.client
import ssl
import time
import urllib.parse
import xml.etree.ElementTree

from harness import check

UNRESERVED = "-._~"


def encoded(text, safe=""):
    """Percent-encoded as S3 wants it: everything but letters, digits and -._~."""
    return urllib.parse.quote(text, safe=UNRESERVED + safe)


def signature(secret, stamp, region, canonical_request):
    """Of a request at `stamp` (20260131T235959Z)."""
    day = stamp[:8]
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, f"{day}/{region}/s3/aws4_request",
                      hashlib.sha256(canonical_request.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for word in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def parse_xml(body):
    """Without the namespace, which servers do not agree about."""
    root = xml.etree.ElementTree.fromstring(body)
    for element in root.iter():
        element.tag = element.tag.rsplit("}", 1)[-1]
    return root


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers}

    @property
    def code(self):
        """The word of an error: NoSuchKey."""
        return parse_xml(self.body).findtext("Code") if self.body else None

    @property
    def metadata(self):
        return {n[len("x-amz-meta-"):]: v for n, v in self.headers.items() if n.startswith("x-amz-meta-")}

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:600]!r}"


class Client:
    """For one bucket. Path style."""

    def __init__(self, host, bucket, access_key, secret_key, region="us-east-1", ca_file=None):
        self.host, self.bucket, self.access_key, self.secret_key = host, bucket, access_key, secret_key
        self.region, self.ca_file = region, ca_file

    def request(self, method, key="", query=None, body=b"", headers=None):
        path = f"/{self.bucket}" + (f"/{encoded(key, '/')}" if key else "")
        query = "&".join(f"{encoded(k)}={encoded(str(v))}" for k, v in sorted((query or {}).items()))
        body = body.encode() if isinstance(body, str) else body
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        digest = hashlib.sha256(body).hexdigest()
        headers = {n.lower(): v for n, v in (headers or {}).items()}
        headers |= {"host": self.host, "x-amz-date": stamp, "x-amz-content-sha256": digest}
        names = ";".join(sorted(headers))
        lines = "".join(f"{n}:{headers[n].strip()}\n" for n in sorted(headers))
        sign = signature(self.secret_key, stamp, self.region, "\n".join([method, path, query, lines, names, digest]))
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access_key}/{stamp[:8]}/{self.region}/s3/aws4_request,"
                                    f"SignedHeaders={names},Signature={sign}")
        connection = (http.client.HTTPSConnection(self.host, context=ssl.create_default_context(cafile=self.ca_file), timeout=60)
                      if self.ca_file else http.client.HTTPConnection(self.host, timeout=60))
        try:
            connection.request(method, path + ("?" + query if query else ""), body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def ok(self, *args, **options):
        answer = self.request(*args, **options)
        check(answer.status in (200, 204, 206), args, answer)
        return answer

    def make_bucket(self):
        self.ok("PUT")
        return self

    def put(self, key, body=b"", **metadata):
        return self.ok("PUT", key, body=body, headers={"x-amz-meta-" + k.replace("_", "-"): v for k, v in metadata.items()})

    def get(self, key):
        return self.ok("GET", key).body

    def head(self, key):
        return self.request("HEAD", key)

    def delete(self, key):
        return self.ok("DELETE", key)

    def list(self, prefix=""):
        """{key: bytes} of everything that is there."""
        found, query = {}, {"list-type": 2, "prefix": prefix}
        while True:
            page = parse_xml(self.ok("GET", query=query).body)
            found |= {item.findtext("Key"): int(item.findtext("Size")) for item in page.findall("Contents")}
            if page.findtext("IsTruncated") != "true":
                return found
            query["continuation-token"] = page.findtext("NextContinuationToken")

    def uploads(self):
        """Keys of the multipart uploads that are neither completed nor aborted."""
        return [item.findtext("Key") for item in parse_xml(self.ok("GET", query={"uploads": ""}).body).findall("Upload")]

    def begin_upload(self, key):
        return parse_xml(self.ok("POST", key, query={"uploads": ""}).body).findtext("UploadId")

    def upload_part(self, key, upload, number, body):
        return self.ok("PUT", key, query={"uploadId": upload, "partNumber": number}, body=body).headers["etag"]

    def complete_upload(self, key, upload, etags):
        parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in etags)
        return self.request("POST", key, query={"uploadId": upload}, body=f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
