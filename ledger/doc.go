// Package ledger keeps evidence: what was stored, provable years later to somebody who trusts nobody here.
//
// It promises an auditor two things. A [Log] that showed a checkpoint once can neither drop nor change nor move a leaf
// under it: the proofs that [VerifyInclusion] and [VerifyConsistency] check need nothing but the log's public key. And a
// blob read from a [Blobs] store is the blob that was put there, or an error: every chunk is verified against the CID
// before a byte of it is handed out. Leaves are digests of ciphertexts, or sealed events; the CID of a blob is a good leaf.
//
// To the operator it promises that what was acknowledged is durable, that a process may be killed at any moment, that a
// full disk leaves the data as it was, and that a cut, flipped, missing or foreign file is named in the error together
// with what to do.
//
// Hashing is that of RFC 6962 with SHA-256, checkpoints are signed notes with Ed25519, tiles lie on disk as C2SP tlog-tiles
// has them, and CIDs are those that `ipfs add --cid-version=1 --raw-leaves --chunker=size-1048576` prints.
//
// # Leakage
//
// Whoever sees the log's folder sees every leaf, how many there are, in which batches they came, and by the files' times
// about when. Whoever sees a blob folder sees the blobs, their number and lengths, which are read, and which are equal. So
// only ciphertext belongs here, and digests of ciphertext. A digest of a plaintext that can be guessed, such as a
// diagnosis, gives the plaintext away. A checkpoint reveals the number of leaves, a proof some hashes.
//
// # Not protected
//
// One operator with the signing key can rewrite the log and sign the new history, or show two histories to two people.
// That is noticed by whoever kept an earlier checkpoint, and only by them: pass it to [OpenLog] or [ReadLog], and publish
// checkpoints where this operator cannot rewrite them. A checkpoint holds no time; when something was logged is known only
// from where its checkpoint was published. A missing blob is noticed when somebody asks for it, not before; the log says
// which should be there. Deleting a blob does not wipe the medium: destroy its key instead. The log proves that bytes
// existed, not that they are true. Locks are those of the local file system: do not put a log on a network share
// without working locks. On systems other than Unix nothing opens, for want of a lock.
//
// # Example
//
//	signer, err := ledger.GenerateSigner("ward.example.org/log")
//	log, err := ledger.OpenLog(ctx, filepath.Join(dir, "log"), signer, nil)
//	blobs, err := ledger.OpenBlobs(filepath.Join(dir, "blobs"))
//
//	cid, _, err := blobs.Put(ctx, ciphertext)
//	index, err := log.Append(ctx, cid.Bytes())
//
//	head := log.Checkpoint()
//	proof, err := log.ProveInclusion(ctx, index, head)
//	err = ledger.VerifyInclusion(head.Bytes(), signer.Verifier(), cid.Bytes(), index, proof) // the auditor, anywhere
//
// The formats are in docs/spec/ledger.md.
package ledger
