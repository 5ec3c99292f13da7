package main

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/veilchart/veilchart/dp"
	"github.com/veilchart/veilchart/he"
	"github.com/veilchart/veilchart/internal/wire"
	"github.com/veilchart/veilchart/keymgmt"
	"github.com/veilchart/veilchart/sse"
)

// state is how far the ward has come, and what it remembers of its parts.
type state struct {
	Input     string // SHA-256 of the records
	Batches   int    // batches that are stored, logged and indexed
	Started   int    // batches that were begun
	Ingested  bool   // everything, columns too
	Records   int
	Patients  int
	Malformed int
	Orphans   int           // log entries of an interrupted run, that no record points to
	Bytes     int64         // of the records
	Took      time.Duration // all runs of the ingest together

	ColumnsKey he.KeyID
	Columns    map[string][32]byte // digest of each column

	Shared map[string][32]byte // SHA-256 of each sealed key of the index; nil while they are being written

	RingVersion     uint64
	FirstCheckpoint []byte // of the log, after the first batch: the auditor's
	Checkpoint      []byte // the latest
	BudgetHead      dp.Head
	Anchors         map[string]sse.Anchor

	Sweep bool // a batch was cut short, and its blobs without a row have not been deleted yet

	Erasing string   // pseudonym of the patient whose erasure has begun
	Erased  bool     // and is complete
	Row     uint32   // of the patient in the columns
	Shut    []string // addresses of the patient's sealed records, to be deleted
	Removed int      // records that went with it
	Sample  string   // CID of one of them: it stays in the store, shut
	Receipt []byte
}

// readState returns an empty state when there is no file yet.
func readState(path string, key *keymgmt.Secret) (*state, error) {
	s := &state{Anchors: map[string]sse.Anchor{}, Columns: map[string][32]byte{}}
	sealed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	plain, err := unsealState(key, sealed)
	if err == nil {
		err = json.Unmarshal(plain, s)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w. Restore it from a copy of the whole folder, or begin again in another folder", path, err)
	}
	return s, nil
}

func writeState(path string, key *keymgmt.Secret, s *state) error {
	plain, err := json.Marshal(s)
	if err != nil {
		return err
	}
	sealed, err := sealState(key, plain)
	if err != nil {
		return err
	}
	return writeFile(path, sealed, 0o600)
}

// writeFile replaces a file: the old content or the new is there, whatever happens.
func writeFile(path string, b []byte, mode fs.FileMode) (err error) {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", path, err), ignoreMissing(os.Remove(f.Name())))
		}
	}()
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(mode))
	err = errors.Join(err, f.Sync())
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// makeFolder makes a folder and those above it, each durable in the one above.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(dir))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// aead seals small things under a key of the ring, with a random nonce in front (AES-256-GCM; at most 2^32 seals under one key).
func aead(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// stateHeader opens the state file: docs/spec/ward.md.
var stateHeader = wire.AppendHeader(nil, wire.Header{Kind: wire.KindWardState, Version: 1})

func sealState(key *keymgmt.Secret, plain []byte) ([]byte, error) {
	a, err := aead(key.ExposeSecret())
	if err != nil {
		return nil, err
	}
	return a.Seal(append([]byte(nil), stateHeader...), nil, plain, stateHeader), nil
}

func unsealState(key *keymgmt.Secret, sealed []byte) ([]byte, error) {
	d := wire.NewDecoder(sealed)
	if h := d.Header(wire.KindWardState); d.Err() == nil && (h.Version != 1 || h.Suite != 0) {
		d.Failf("version %d, suite %d is not known to this program", h.Version, h.Suite)
	}
	if d.Err() != nil {
		return nil, d.Err()
	}
	a, err := aead(key.ExposeSecret())
	if err != nil {
		return nil, err
	}
	plain, err := a.Open(nil, nil, sealed[d.Offset():], stateHeader)
	if err != nil {
		return nil, errors.New("damaged, or of another ward: it does not open under this ring's key")
	}
	return plain, nil
}
