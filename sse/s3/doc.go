// Package s3 keeps the sealed pages of package sse in object storage: Amazon S3 and services that speak like it. One object per segment, one
// per head; no server of one's own, no state but the objects.
//
//	ctx := context.Background()
//	client, err := minio.New("s3.eu-central-1.amazonaws.com", &minio.Options{
//		Creds:  credentials.NewStaticV4(accessKey, secretKey, ""),
//		Region: "eu-central-1", // else the client asks for it first
//		Secure: true,
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//	store, err := s3.Open(ctx, client, s3.Place{Bucket: "ward-7", Prefix: "index/"})
//	if err != nil {
//		log.Fatal(err)
//	}
//	ix, err := sse.Create(ctx, store, key, sse.GenerateID(), schema, sse.Options{})
//
// Everything that package sse promises about stores holds: a segment appears as a whole or not at all, of several writers who swap a head one
// wins, and what was acknowledged is as durable as the service makes it. It rests on one property of the service: it creates an object
// under the condition If-None-Match: * only if there is none of that name, also when two clients ask at once. Open tries it, and refuses
// a service that does not with ErrUnconditional. What Open cannot try is whether the service keeps the condition under
// concurrency, and whether listings show what was written before; both are promised by Amazon S3.
//
// A read is one round of requests however many segments it names, 16 requests at a time. Requests that fail are repeated by the
// client, as often as MaxRetries in minio.Options says (10 by default); answers that break off or stand still for 30 seconds are taken up
// where they ended, four times. A context that ends ends them all. An outcome that got lost is looked up: every object
// carries the random name of the attempt that made it. Who gives up a write that is on its way waits up to 5 seconds longer to learn how it ended.
//
// # What the service sees
//
// The server's view of package sse, with names: partitions and segments by their random IDs, heads by number; length and time of
// each; which ranges of which objects are read, when, by which access key, from where. Services keep that in logs for long. Runs that
// nearly touch are read as one, with the pages between; this depends on the runs alone. No key, no word and no identifier is in a
// name or in metadata.
//
// # What the client may do
//
// Who writes needs these actions, with Prefix in place of index/:
//
//	{"Version": "2012-10-17", "Statement": [
//	  {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::ward-7",
//	   "Condition": {"StringLike": {"s3:prefix": "index/*"}}},
//	  {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:AbortMultipartUpload"],
//	   "Resource": "arn:aws:s3:::ward-7/index/*"}]}
//
// Who only reads needs s3:ListBucket and s3:GetObject, and gets a store that refuses to write. Without s3:ListBucket a service says
// "access denied" where it would say "not there", and nothing works. s3:DeleteObjectVersion is for buckets with versions.
//
// # Deleting, versions and locks
//
// TO ERASE DATA, OLD VERSIONS MUST GO TOO. In a bucket with versioning a deleted object stays as an old version until a lifecycle rule
// removes it. DeleteSegment removes the version itself, which ends that for segments; heads that grew old remain. Best is a
// bucket of its own without versioning. Where versioning is prescribed, give the prefix a rule with NoncurrentVersionExpiration of a day and
// ExpiredObjectDeleteMarker. Under Object Lock, and in replicas, backups and archives, what was written stays whatever this
// package deletes: there, erasing is destroying the partition key and nothing else.
//
// Give the prefix a lifecycle rule AbortIncompleteMultipartUpload of a day, too: a writer that is killed in the middle of a segment over 8 MiB
// leaves parts behind that nobody sees and that cost money. No other rule may expire or archive objects under the prefix.
//
// # Not protected
//
// Whoever can write to the bucket can destroy the index; pages and heads that were changed are found by package sse, and a head
// that was put back by who remembers an anchor. Two deleters of one segment in different processes may both be told that they removed it.
// A service that lies about lengths and ranges is refused before room is made, and redirections are not followed; but the client reads one answer to
// a listing whole, however long, and waits for as long as a context lets it: give contexts deadlines, and a service that you do not trust with your
// memory a Transport in minio.Options that bounds answers.
// A segment or a head whose writer gave up, with a context that ended or a connection that stayed broken, may still appear later, when the
// service carries the request out. The sweep of the index removes such a segment like every abandoned one. Such a head takes effect if nobody has
// stored that version meanwhile: so the index keeps what it names for the grace period (sse.Options), which must be longer than a request can live;
// Amazon S3 refuses requests that are older than 15 minutes.
//
// # Tested with
//
// versitygw 1.8.0 over a folder, which the tests start: the conformance suite, with and without versioning, broken connections, lost
// answers, a server killed in the middle. Amazon S3 documents the condition for PutObject and CompleteMultipartUpload since 2024; it was not
// tested, nor was any other service. Try a service with this package's tests before you trust it.
//
// Names and contents of the objects, and the order of requests: docs/spec/sse-store.md, section S3.
package s3
