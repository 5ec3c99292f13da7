package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/keymgmt"
	"github.com/veilchart/veilchart/ledger"
	"github.com/veilchart/veilchart/sse"
)

// person is somebody with a key of attributes.
type person struct {
	name       string // in the ring, and in the story
	attributes []string
	key        *abe.Key
	index      map[string]*sse.Index // the partitions whose key this person could open
	denied     map[string]error      // why not the others
}

// The people of the story. A role and a department are given by the authority, not chosen.
var (
	cardiologist = person{name: "cardiologist", attributes: []string{"role = doctor", "dept = cardiology"}}
	psychiatrist = person{name: "psychiatrist", attributes: []string{"role = doctor", "dept = psychiatry"}}
	clerk        = person{name: "billing clerk", attributes: []string{"role = biller", "dept = accounting"}}
)

// allDays is the window of the staff's keys. A hospital would issue keys for a year or less, and new ones to those who stay.
var allDays = abe.Window{First: 0, Last: abe.LastDay}

// enrol returns the person with a key: the one issued before, or a new one.
func (h *hospital) enrol(ctx context.Context, p person) (*person, error) {
	ctx = keymgmt.WithUse(ctx, keymgmt.Use{Actor: p.name, Reason: "log in"})
	var want []abe.Attribute
	for _, text := range p.attributes {
		a, err := abe.ParseAttribute(text)
		if err != nil {
			return nil, err
		}
		want = append(want, a)
	}
	k, err := h.ring.Get(ctx, keyStaff+p.name)
	switch {
	case errors.Is(err, keymgmt.ErrNotFound):
		authority, err := h.authority(ctx)
		if err != nil {
			return nil, err
		}
		if p.key, err = authority.IssueKey(allDays, want...); err != nil {
			return nil, err
		}
		if _, err := h.ring.Put(ctx, keyStaff+p.name, keymgmt.NewSecret(p.key.ExposeSecret())); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("the key of the %s: %w", p.name, err)
	default:
		if p.key, err = abe.NewKey(k.Secret.ExposeSecret()); err != nil {
			return nil, fmt.Errorf("the key of the %s: %w", p.name, err)
		}
	}
	p.index, p.denied = map[string]*sse.Index{}, map[string]error{}
	for _, name := range partitions {
		sealed, err := h.indexKey(name)
		if err != nil {
			return nil, err
		}
		key, err := p.key.Open(sealed, &abe.Options{AssociatedData: []byte(name)})
		if denied := (*abe.DeniedError)(nil); errors.As(err, &denied) {
			p.denied[name] = err
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.indexKeyPath(name), err)
		}
		if p.index[name], err = sse.Open(ctx, h.store, key, partitionID(name), sse.Options{Anchor: h.state.Anchors[name]}); err != nil {
			return nil, fmt.Errorf("opening the %s partition of the index as %s: %w", name, p.name, err)
		}
	}
	return &p, nil
}

func (h *hospital) indexKeyPath(partition string) string {
	return filepath.Join(h.dir, "index-keys", partition)
}

// shareIndexKeys seals the key of each partition under the policy of its records. The state keeps what was written, so that a changed file is
// noticed also by who cannot open it.
func (h *hospital) shareIndexKeys(ctx context.Context) error {
	h.state.Shared = nil
	if err := h.remember(ctx); err != nil {
		return err
	}
	shared := map[string][32]byte{}
	for _, c := range classes {
		policy, err := abe.ParsePolicy(c.policy)
		if err != nil {
			return err
		}
		key, err := h.ring.Get(ctx, keyIndex+c.name)
		if err != nil {
			return err
		}
		sealed, err := h.params.Seal(policy, key.Secret.ExposeSecret(), &abe.Options{AssociatedData: []byte(c.name)})
		if err != nil {
			return err
		}
		if err := writeFile(h.indexKeyPath(c.name), sealed, 0o644); err != nil {
			return err
		}
		shared[c.name] = sha256.Sum256(sealed)
	}
	h.state.Shared = shared
	return h.remember(ctx)
}

// indexKey reads the sealed key of a partition.
func (h *hospital) indexKey(partition string) ([]byte, error) {
	path := h.indexKeyPath(partition)
	sealed, err := os.ReadFile(path)
	if err == nil && sha256.Sum256(sealed) != h.state.Shared[partition] {
		err = fmt.Errorf("%s: the file was changed or is an old copy. Delete it; the next run writes it again", path)
	}
	return sealed, err
}

// hit is a record that a search found.
type hit struct {
	entry
	id        string
	pseudonym string
}

// found is the outcome of one search over all partitions that a person can search.
type found struct {
	total int
	hits  []hit // the newest first; at most limit of them
	took  time.Duration
	cost  sse.Cost // what the store was asked for
}

// search asks every partition whose key the person has. The rows of erased patients stay shut: their key is gone.
func (h *hospital) search(ctx context.Context, p *person, q sse.Query, limit int) (f found, err error) {
	start := time.Now()
	var all []sse.Hit
	for _, name := range partitions {
		ix := p.index[name]
		if ix == nil {
			continue
		}
		r, err := ix.Search(ctx, q, sse.SearchOptions{})
		if err != nil {
			return f, fmt.Errorf("searching the %s partition: %w", name, err)
		}
		all = append(all, r.Hits...)
		f.total += r.Total
		f.cost.Terms += r.Cost.Terms
		f.cost.Rounds += r.Cost.Rounds
		f.cost.Pages += r.Cost.Pages
		f.cost.Bytes += r.Cost.Bytes
	}
	f.took = time.Since(start)
	for _, x := range all {
		e, pseudonym, err := h.openRow(ctx, p.name, x.Stored)
		if errors.Is(err, keymgmt.ErrDestroyed) {
			f.total--
			continue
		}
		if err != nil {
			return f, err
		}
		f.hits = append(f.hits, hit{e, x.ID, pseudonym})
	}
	slices.SortStableFunc(f.hits, func(a, b hit) int { return int(b.day) - int(a.day) })
	f.hits = f.hits[:min(limit, len(f.hits))]
	return f, nil
}

// openRow opens what the index stores with a record, with the patient's key from the key service.
func (h *hospital) openRow(ctx context.Context, who string, stored []byte) (entry, string, error) {
	r, err := readRow(stored)
	if err != nil {
		return entry{}, "", err
	}
	key, err := h.patientKey(ctx, r.pseudonym, who, "read search results")
	if err != nil {
		return entry{}, "", err
	}
	e, err := openEntry(key, stored)
	return e, r.pseudonym, err
}

// fetch reads a sealed record from the content store, checked against its CID.
func (h *hospital) fetch(ctx context.Context, cid ledger.CID) (_ []byte, err error) {
	r, err := h.blobs.Get(ctx, cid)
	if err != nil {
		return nil, err
	}
	sealed, err := io.ReadAll(r)
	return sealed, errors.Join(err, r.Close())
}

// open fetches a record and opens it with the person's key and the patient's.
func (h *hospital) open(ctx context.Context, p *person, x hit) (*record, error) {
	return h.openWith(ctx, p.name, p.key, x)
}

func (h *hospital) openWith(ctx context.Context, who string, key *abe.Key, x hit) (*record, error) {
	sealed, err := h.fetch(ctx, x.cid)
	if err != nil {
		return nil, err
	}
	patient, err := h.patientKey(ctx, x.pseudonym, who, "open a record")
	if err != nil {
		return nil, err
	}
	comp, err := companion(patient)
	if err != nil {
		return nil, err
	}
	defer clear(comp)
	plain, err := key.Open(sealed, &abe.Options{Companion: comp})
	if err != nil {
		return nil, err
	}
	return parseRecord(0, plain)
}
