package main

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"slices"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/internal/wire"
	"github.com/veilchart/veilchart/keymgmt"
	"github.com/veilchart/veilchart/ledger"
	"github.com/veilchart/veilchart/sse"
)

// batchRecords is how many records are made durable together: as many as take a second or two, since each batch waits for the disk some
// twenty times. A batch is a few more, since a patient is not divided.
const batchRecords = 4000

// batch is a run of the input: whole patients, as long as the input is grouped by patient.
type batch struct {
	records  []*record
	patients []string // in order of appearance in the batch
}

// row is what the index gives back for a record. The patient's part of it is sealed under the patient's key, so that it goes with the key.
type row struct {
	pseudonym string
	position  uint32 // of the patient in the encrypted columns
	sealed    []byte
}

const (
	pseudonymSize = 16
	maxDisplay    = 160
)

// entry is the sealed part of a row.
type entry struct {
	cid     ledger.CID
	leaf    int64 // index in the log
	class   uint8
	day     int32 // days since 1970
	kind    string
	display string
}

// sealedRecord is a record on its way into the stores.
type sealedRecord struct {
	*record
	id     string // in the index
	class  int
	object []byte
	cid    ledger.CID
}

// ward is the parsed input.
type ward struct {
	sum       string
	records   []*record
	bytes     int64
	malformed []*lineError
	position  map[string]uint32 // of each patient, by order of first appearance
	patients  []string
	took      time.Duration // to read
}

// readWard reads all records. Lines that are no records are collected, not skipped in silence.
func readWard(in []byte) (*ward, error) {
	start := time.Now()
	sum := sha256.Sum256(in)
	w := &ward{sum: hex.EncodeToString(sum[:]), position: map[string]uint32{}}
	for r, err := range readRecords(bytes.NewReader(in)) {
		if bad := (*lineError)(nil); errors.As(err, &bad) {
			w.malformed = append(w.malformed, bad)
			continue
		}
		if err != nil {
			return nil, err
		}
		w.records = append(w.records, r)
		w.bytes += int64(len(r.raw))
		if _, ok := w.position[r.patient]; !ok {
			w.position[r.patient] = uint32(len(w.patients))
			w.patients = append(w.patients, r.patient)
		}
	}
	if len(w.records) == 0 {
		const want = "one FHIR R4 resource in JSON on each line is expected (NDJSON, plain or gzip)"
		if len(w.malformed) > 0 {
			return nil, fmt.Errorf("no line is a record; %v. %s", w.malformed[0], want)
		}
		return nil, errors.New("it is empty. " + want)
	}
	w.took = time.Since(start)
	return w, nil
}

// batches divides the records between patients.
func (w *ward) batches() []batch {
	var out []batch
	var b batch
	for i, r := range w.records {
		if len(b.records) >= batchRecords && r.patient != w.records[i-1].patient {
			out, b = append(out, b), batch{}
		}
		if !slices.Contains(b.patients, r.patient) {
			b.patients = append(b.patients, r.patient)
		}
		b.records = append(b.records, r)
	}
	return append(out, b)
}

// ingest seals, stores, logs and indexes every batch that is not in the folder yet. Killed at any time, the next run goes on.
// Two batches are under way at once: one is being sealed while the one before it is written.
func (h *hospital) ingest(ctx context.Context, w *ward, p *progress) error {
	ctx = keymgmt.WithUse(ctx, keymgmt.Use{Actor: "ingest", Reason: "seal new records"})
	if h.state.Input != "" && h.state.Input != w.sum {
		return fmt.Errorf("%s holds another ward's records. Give -dir another folder, or -records the file it was made from", h.dir)
	}
	batches := w.batches()
	h.state.Input, h.state.Records, h.state.Patients = w.sum, len(w.records), len(w.patients)
	h.state.Malformed, h.state.Bytes = len(w.malformed), w.bytes
	for i, b := range batches {
		if i < h.state.Batches { // done by an earlier run
			p.skip(len(b.records), size(b.records))
		}
	}
	start, before := time.Now(), h.state.Took
	first := h.state.Batches
	half := -1 // the batch that the run before this one left half done
	if h.state.Started > first {
		half = first
	}

	type work struct {
		n      int
		sealed []*sealedRecord
	}
	ready := make(chan work)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(ready)
		for n := first; n < len(batches); n++ {
			sealed, err := h.sealBatch(ctx, batches[n], n == half, p)
			if err != nil {
				return fmt.Errorf("sealing batch %d: %w", n+1, err)
			}
			select {
			case ready <- work{n, sealed}:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	g.Go(func() error {
		if first < len(batches) {
			h.state.Started = first + 1
			if err := h.remember(ctx); err != nil {
				return err
			}
		}
		for b := range ready {
			if err := h.storeBatch(ctx, w, b.sealed, b.n != half, p); err != nil {
				return fmt.Errorf("storing batch %d of %d: %w. The batches before it are safe; run again with the same -dir to go on", b.n+1, len(batches), err)
			}
			h.state.Batches = b.n + 1
			if h.state.FirstCheckpoint == nil {
				h.state.FirstCheckpoint = h.log.Checkpoint().Bytes()
			}
			h.state.Started = min(b.n+2, len(batches)) // the next one begins
			h.state.Took = before + time.Since(start)
			if err := h.remember(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	return g.Wait()
}

func size(records []*record) (n int64) {
	for _, r := range records {
		n += int64(len(r.raw))
	}
	return n
}

// finishIngest brings in what is missing: batches, columns, the shared keys of the index. It leaves nothing to do when all is there.
func (h *hospital) finishIngest(ctx context.Context, w *ward, s *screen) error {
	p := s.progress(len(w.records))
	defer p.finish()
	h.state.Sweep = h.state.Sweep || h.state.Started > h.state.Batches // saved before anything is stored
	if err := h.ingest(ctx, w, p); err != nil {
		return err
	}
	if h.state.Sweep {
		if err := h.sweepOrphans(ctx); err != nil {
			return err
		}
	}
	if !h.state.Ingested {
		start := time.Now()
		if err := h.writeColumns(ctx, w); err != nil {
			return err
		}
		h.state.Took += time.Since(start)
	}
	share := h.state.Shared == nil
	for _, name := range partitions {
		_, err := os.Stat(h.indexKeyPath(name))
		share = share || errors.Is(err, fs.ErrNotExist)
	}
	if share {
		return h.shareIndexKeys(ctx)
	}
	return nil
}

// sweepOrphans deletes blobs that no row points to: an interrupted batch was sealed again, and what the first attempt stored is not needed.
// Their hashes stay in the log, which forgets nothing.
func (h *hospital) sweepOrphans(ctx context.Context) error {
	known, err := h.referenced(ctx)
	if err != nil {
		return err
	}
	for cid, err := range h.blobs.All(ctx) {
		if err != nil {
			return err
		}
		if !known[cid] {
			if err := h.blobs.Delete(ctx, cid); err != nil {
				return err
			}
		}
	}
	h.state.Orphans = int(h.log.Checkpoint().Size) - len(known)
	h.state.Sweep = false
	return h.remember(ctx)
}

// referenced gives the address of every record that has a row.
func (h *hospital) referenced(ctx context.Context) (map[ledger.CID]bool, error) {
	known := map[ledger.CID]bool{}
	for _, name := range partitions {
		r, err := h.index[name].Search(ctx, sse.Not(sse.Term("type", sse.String("none"))), sse.SearchOptions{MaxPages: math.MaxInt32})
		if err != nil {
			return nil, err
		}
		for _, x := range r.Hits {
			e, _, err := h.openRow(ctx, "ingest", x.Stored)
			if err != nil {
				return nil, err
			}
			known[e.cid] = true
		}
	}
	return known, nil
}

// sealBatch seals the records of a batch, patient by patient on all cores. After an interruption, records that are in the index already are
// left out.
func (h *hospital) sealBatch(ctx context.Context, b batch, resumed bool, p *progress) ([]*sealedRecord, error) {
	keys, err := h.patientKeys(ctx, b.patients)
	if err != nil {
		return nil, err
	}
	byPatient := map[string][]*sealedRecord{}
	all := make([]*sealedRecord, 0, len(b.records))
	for _, r := range b.records {
		s := &sealedRecord{record: r, id: h.recordID(r.ref()), class: slices.Index(classes, classify(r))}
		if resumed {
			switch _, err := h.index[classes[s.class].name].Get(ctx, s.id); {
			case err == nil:
				p.skip(1, int64(len(r.raw)))
				continue
			case !errors.Is(err, sse.ErrNotFound):
				return nil, err
			}
		}
		byPatient[r.patient] = append(byPatient[r.patient], s)
		all = append(all, s)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, patient := range b.patients {
		list := byPatient[patient]
		if len(list) == 0 {
			continue
		}
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return h.sealPatient(keys[patient], list)
		})
	}
	return all, g.Wait()
}

// sealPatient seals one patient's records; those of one class share an encapsulation.
func (h *hospital) sealPatient(key *keymgmt.Secret, list []*sealedRecord) error {
	comp, err := companion(key)
	if err != nil {
		return err
	}
	defer clear(comp)
	for c := range classes {
		var records []abe.Record
		var of []*sealedRecord
		for _, s := range list {
			if s.class == c {
				records = append(records, abe.Record{ID: s.id, Plaintext: s.raw})
				of = append(of, s)
			}
		}
		if len(records) == 0 {
			continue
		}
		policy, err := abe.ParsePolicy(classes[c].policy)
		if err != nil {
			return fmt.Errorf("policy of %s: %w", classes[c].name, err)
		}
		objects, err := h.params.SealMany(policy, records, &abe.Options{Companion: comp})
		if err != nil {
			return err
		}
		for i, s := range of {
			s.object = objects[i]
		}
	}
	return nil
}

// patientKeys returns the keys of the patients and makes those that are missing, all in one write.
func (h *hospital) patientKeys(ctx context.Context, patients []string) (map[string]*keymgmt.Secret, error) {
	keys := map[string]*keymgmt.Secret{}
	var missing []string
	for _, patient := range patients {
		k, err := h.ring.Get(ctx, keyPatient+h.pseudonym(patient))
		switch {
		case errors.Is(err, keymgmt.ErrNotFound):
			missing = append(missing, keyPatient+h.pseudonym(patient))
		case err != nil:
			return nil, fmt.Errorf("the key of patient %s: %w", short(h.pseudonym(patient)), err)
		default:
			keys[patient] = k.Secret
		}
	}
	if len(missing) == 0 {
		return keys, nil
	}
	if err := h.ring.GenerateMany(ctx, missing); err != nil {
		return nil, err
	}
	return h.patientKeys(ctx, patients)
}

// storeBatch makes a batch durable in three steps: blobs, log, index. What has no row in the index does not exist for a reader, so a batch
// that was cut short is done again. Progress is counted at the first step, which takes longest: a file for each record.
func (h *hospital) storeBatch(ctx context.Context, w *ward, sealed []*sealedRecord, fresh bool, p *progress) error {
	if len(sealed) == 0 {
		return nil
	}
	blobs := h.blobs.Batch()
	defer blobs.Discard()
	leaves := make([][]byte, len(sealed))
	for i, s := range sealed {
		cid, _, err := blobs.Put(ctx, bytes.NewReader(s.object))
		if err != nil {
			return err
		}
		s.cid, s.object = cid, nil
		leaves[i] = cid.Bytes()
		p.add(1, int64(len(s.raw)))
	}
	if err := blobs.Commit(ctx); err != nil {
		return err
	}
	first, err := h.log.Append(ctx, leaves...)
	if err != nil {
		return err
	}
	docs := map[string][]sse.Document{}
	keys := map[string]*keymgmt.Secret{}
	for i, s := range sealed {
		pseudonym := h.pseudonym(s.patient)
		if keys[s.patient] == nil {
			if keys[s.patient], err = h.patientKey(ctx, pseudonym, "ingest", "seal index rows"); err != nil {
				return err
			}
		}
		stored, err := sealEntry(keys[s.patient], row{pseudonym: pseudonym, position: w.position[s.patient]}, entry{
			cid: s.cid, leaf: first + int64(i), class: uint8(s.class), day: int32(sse.DayNumber(s.date)), kind: s.kind, display: s.display,
		})
		if err != nil {
			return err
		}
		partition := classes[s.class].name
		docs[partition] = append(docs[partition], sse.Document{ID: s.id, Revision: 1, Fields: s.fields(pseudonym), Stored: stored})
	}
	for _, name := range partitions {
		if len(docs[name]) == 0 {
			continue
		}
		if err := h.index[name].Apply(ctx, sse.Batch{Put: docs[name], New: fresh}); err != nil {
			return err
		}
	}
	return nil
}

// fields are what a record can be found by.
func (r *record) fields(pseudonym string) sse.Fields {
	f := sse.Fields{"type": {sse.String(r.kind)}, "patient": {sse.String(pseudonym)}}
	for _, c := range r.codes {
		f["code"] = append(f["code"], sse.String(c))
	}
	for _, t := range r.text {
		f["text"] = append(f["text"], sse.String(t))
	}
	if r.name != "" {
		f["name"] = []sse.Value{sse.String(r.name)}
	}
	if !r.date.IsZero() {
		f["date"] = []sse.Value{sse.Day(r.date)}
		if r.kind == "Patient" {
			f["born"] = f["date"]
		}
	}
	for _, n := range r.numbers {
		if n.code == "8480-6" && n.value >= 0 && n.value <= 400 {
			f["systolic"] = []sse.Value{sse.Int(int64(n.value + 0.5))}
		}
	}
	return f
}

// sealEntry encodes what the index stores with a record: docs/spec/ward.md.
func sealEntry(patient *keymgmt.Secret, r row, e entry) ([]byte, error) {
	raw, err := hex.DecodeString(r.pseudonym)
	if err != nil || len(raw) != pseudonymSize {
		return nil, fmt.Errorf("pseudonym %q is not %d bytes in hexadecimal", r.pseudonym, pseudonymSize)
	}
	open := binary.BigEndian.AppendUint32(raw, r.position)
	a, err := entryAEAD(patient)
	if err != nil {
		return nil, err
	}
	plain := wire.AppendString(nil, e.cid.String())
	plain = binary.BigEndian.AppendUint64(plain, uint64(e.leaf))
	plain = append(plain, e.class)
	plain = binary.BigEndian.AppendUint32(plain, uint32(e.day))
	plain = wire.AppendString(plain, e.kind)
	plain = wire.AppendString(plain, clip(e.display, maxDisplay))
	return a.Seal(bytes.Clone(open), nil, plain, open), nil
}

// readRow takes the part of a row that needs no patient's key.
func readRow(stored []byte) (row, error) {
	if len(stored) < pseudonymSize+4 {
		return row{}, errors.New("a row of the index is too short: it was written by another program")
	}
	return row{hex.EncodeToString(stored[:pseudonymSize]), binary.BigEndian.Uint32(stored[pseudonymSize:]), stored[pseudonymSize+4:]}, nil
}

// openEntry opens the part that is sealed under the patient's key.
func openEntry(patient *keymgmt.Secret, stored []byte) (e entry, err error) {
	r, err := readRow(stored)
	if err != nil {
		return e, err
	}
	a, err := entryAEAD(patient)
	if err != nil {
		return e, err
	}
	plain, err := a.Open(nil, nil, r.sealed, stored[:pseudonymSize+4])
	if err != nil {
		return e, errors.New("a row of the index does not open under this patient's key")
	}
	d := wire.NewDecoder(plain)
	cid := d.String(128)
	e.leaf, e.class, e.day = int64(d.Uint64()), d.Uint8(), int32(d.Uint32())
	e.kind, e.display = d.String(64), d.String(maxDisplay)
	if int(e.class) >= len(classes) {
		d.Failf("class %d is not known", e.class)
	}
	if err := d.Finish(); err != nil {
		return e, err
	}
	e.cid, err = ledger.ParseCID(cid)
	return e, err
}

// entryAEAD seals rows of one patient under a key derived for that.
func entryAEAD(patient *keymgmt.Secret) (cipher.AEAD, error) {
	s, err := patient.Derive(keymgmt.PurposeIndex)
	if err != nil {
		return nil, err
	}
	defer s.Destroy()
	return aead(s.ExposeSecret())
}

// clip shortens a text to at most n bytes without cutting a letter in two.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
