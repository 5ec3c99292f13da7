package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/dp"
	"github.com/veilchart/veilchart/he"
	"github.com/veilchart/veilchart/keymgmt"
	"github.com/veilchart/veilchart/ledger"
	"github.com/veilchart/veilchart/sse"
)

// The names of keys in the ring. A patient's key is under keyPatient and the patient's pseudonym.
const (
	keyAuthority = "ward/authority"
	keyLog       = "ward/log"
	keyBudget    = "ward/budget"
	keyPseudonym = "ward/pseudonyms"
	keyState     = "ward/state"
	keyColumns   = "ward/columns"
	keyIndex     = "ward/index/"
	keyStaff     = "ward/staff/"
	keyPatient   = "ward/patient/"
)

// hospital is an open data folder. It plays the parts that a hospital keeps apart on several machines:
//
//	keys/          the ring: the hospital's key service (root.nobackup is never part of a backup)
//	public/        the authority's public parameters
//	index-keys/    the key of each partition of the index, sealed under a policy
//	blobs/ log/ index/ columns/   what may stand on other people's machines
//	budget         the ledger of the privacy budget
//	tmp/           copies that are thrown away
//	state          how far the ward has come; sealed
type hospital struct {
	dir    string
	ring   *keymgmt.Keyring
	params *abe.Params
	blobs  *ledger.DirBlobs
	log    *ledger.Log
	store  sse.Store
	index  map[string]*sse.Index // by partition
	budget *dp.Ledger
	state  *state

	statePath  string
	stateKey   *keymgmt.Secret
	pseudonyms *keymgmt.Secret
}

// partitions of the index, one for each class, in the order of the report.
var partitions = func() (names []string) {
	for _, c := range classes {
		names = append(names, c.name)
	}
	return names
}()

// wardSchema is what can be searched for. It is the same in every partition.
var wardSchema = sse.Schema{Fields: []sse.Field{
	{Name: "type", Type: sse.Keyword},                         // FHIR resourceType
	{Name: "code", Type: sse.Keyword},                         // LOINC, SNOMED CT, RxNorm, CVX
	{Name: "text", Type: sse.Text, Prefix: true, Fuzzy: true}, // display names of the codes
	{Name: "name", Type: sse.Text, Prefix: true, Fuzzy: true}, // names of patients
	{Name: "patient", Type: sse.Keyword},                      // pseudonym
	{Name: "date", Type: sse.Date},                            // when it happened
	{Name: "born", Type: sse.Date},                            // of patients
	{Name: "systolic", Type: sse.Integer, Min: 0, Max: 400},   // mmHg, of blood pressures
}}

// partitionID names a partition to the store, which learns no more than that there are six.
func partitionID(name string) sse.ID {
	sum := sha256.Sum256([]byte("veilchart examples/ward partition " + name))
	return sse.ID(sum[:16])
}

// openHospital opens the data folder, or makes it. w unlocks the ring.
func openHospital(ctx context.Context, dir string, w keymgmt.Wrapper) (_ *hospital, err error) {
	ctx = keymgmt.WithUse(ctx, keymgmt.Use{Actor: "ward", Reason: "open the data folder"})
	h := &hospital{dir: dir, index: map[string]*sse.Index{}, statePath: filepath.Join(dir, "state")}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	files := keymgmt.FilesIn(filepath.Join(dir, "keys"))
	h.ring, err = keymgmt.OpenKeyring(ctx, files, w, keymgmt.Options{})
	if errors.Is(err, fs.ErrNotExist) {
		if inUse(dir) {
			return nil, fmt.Errorf("%w. But the folder holds a ward: restore the ring and its root file from copies made after the last erasure; without them "+
				"nothing here can be opened", err)
		}
		h.ring, err = keymgmt.CreateKeyring(ctx, files, w, keymgmt.Options{})
	}
	if err != nil {
		return nil, fmt.Errorf("opening the key ring: %w", err)
	}
	// Every part below is made by the first run that gets here, also when the run before was killed half way.
	if h.stateKey, err = h.key(ctx, keyState); err != nil {
		return nil, err
	}
	if h.pseudonyms, err = h.key(ctx, keyPseudonym); err != nil {
		return nil, err
	}
	if h.state, err = readState(h.statePath, h.stateKey); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(h.statePath); err != nil {
		if inUse(dir) {
			return nil, fmt.Errorf("%w: it says how far the ward has come. Restore it from a copy of the whole folder", err)
		}
		if err := writeState(h.statePath, h.stateKey, h.state); err != nil {
			return nil, err
		}
	}
	if version, err := h.ring.Version(ctx); err != nil {
		return nil, err
	} else if version < h.state.RingVersion {
		return nil, fmt.Errorf("%s is at version %d but version %d was in use: an old copy was put back. Restore the newest copy",
			files.Ring, version, h.state.RingVersion)
	}
	// What a run that was killed left behind: copies that were tampered with, a copy of the ring.
	if err := os.RemoveAll(h.tmp()); err != nil {
		return nil, err
	}
	for _, open := range []func(context.Context) error{h.openParams, h.openBlobs, h.openLog, h.openIndex, h.openBudget} {
		if err := open(ctx); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// tmp is a folder for copies that are thrown away.
func (h *hospital) tmp() string { return filepath.Join(h.dir, "tmp") }

// inUse reports whether the folder holds more than keys: then a missing ring or state is a loss, not a beginning.
func inUse(dir string) bool {
	for _, name := range []string{"state", "blobs", "log", "index", "budget", "public"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// key returns a random 32-byte key of the ring, made when it is first asked for.
func (h *hospital) key(ctx context.Context, name string) (*keymgmt.Secret, error) {
	k, err := h.ring.Get(ctx, name)
	if errors.Is(err, keymgmt.ErrNotFound) {
		k, err = h.ring.Generate(ctx, name)
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	return k.Secret, nil
}

// openParams opens the attribute authority and compares the public parameters with it.
func (h *hospital) openParams(ctx context.Context) error {
	authority, err := h.authority(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(h.dir, "public", "params")
	encoding, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		h.params = authority.Params()
		return writeFile(path, h.params.Bytes(), 0o644)
	}
	if err != nil {
		return err
	}
	if h.params, err = abe.NewParams(encoding); err != nil {
		return fmt.Errorf("%s: %w. Delete it; the next run writes it again from the authority's key", path, err)
	}
	if h.params.Fingerprint() != authority.Params().Fingerprint() {
		return fmt.Errorf("%s: these are another authority's parameters. Delete it; the next run writes it again from the authority's key", path)
	}
	return nil
}

// authority opens the master secret for the length of one use.
func (h *hospital) authority(ctx context.Context) (*abe.Authority, error) {
	k, err := h.ring.Get(ctx, keyAuthority)
	if errors.Is(err, keymgmt.ErrNotFound) {
		a, err := abe.GenerateAuthority(abe.FABEO, nil)
		if err != nil {
			return nil, err
		}
		_, err = h.ring.Put(ctx, keyAuthority, keymgmt.NewSecret(a.ExposeSecret()))
		return a, err
	}
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", keyAuthority, err)
	}
	return abe.NewAuthority(k.Secret.ExposeSecret())
}

func (h *hospital) openBlobs(context.Context) (err error) {
	h.blobs, err = ledger.OpenBlobs(filepath.Join(h.dir, "blobs"))
	return err
}

func (h *hospital) openLog(ctx context.Context) error {
	seed, err := h.key(ctx, keyLog)
	if err != nil {
		return err
	}
	signer, err := ledger.NewSigner("ward.example/log", seed.ExposeSecret())
	if err != nil {
		return err
	}
	h.log, err = ledger.OpenLog(ctx, filepath.Join(h.dir, "log"), signer, h.state.Checkpoint)
	return err
}

// openIndex opens the partitions. A partition may still be under the key before the last rotation, if that was cut short.
func (h *hospital) openIndex(ctx context.Context) (err error) {
	if h.store, err = sse.OpenDir(filepath.Join(h.dir, "index")); err != nil {
		return err
	}
	for _, name := range partitions {
		if _, err := h.key(ctx, keyIndex+name); err != nil {
			return err
		}
		versions, err := h.versions(ctx, keyIndex+name)
		if err != nil {
			return err
		}
		var ix *sse.Index
		for _, k := range versions {
			ix, err = sse.Open(ctx, h.store, k.ExposeSecret(), partitionID(name), sse.Options{Anchor: h.state.Anchors[name]})
			if errors.Is(err, sse.ErrMissing) && h.state.Anchors[name] == (sse.Anchor{}) {
				ix, err = sse.Create(ctx, h.store, k.ExposeSecret(), partitionID(name), wardSchema, sse.Options{})
			}
			if !errors.Is(err, sse.ErrDecrypt) {
				break
			}
		}
		if err != nil {
			return fmt.Errorf("opening the %s partition of the index in %s: %w", name, filepath.Join(h.dir, "index", partitionID(name).String()), err)
		}
		h.index[name] = ix
	}
	return nil
}

// versions returns every usable version of a key, the newest first.
func (h *hospital) versions(ctx context.Context, name string) ([]*keymgmt.Secret, error) {
	list, err := h.ring.List(ctx, name)
	if err != nil {
		return nil, err
	}
	var out []*keymgmt.Secret
	for _, info := range list {
		if info.Name != name || info.State == keymgmt.StateDestroyed || info.State == keymgmt.StateDisabled {
			continue
		}
		k, err := h.ring.GetVersion(ctx, name, info.Version)
		if err != nil {
			return nil, err
		}
		out = append([]*keymgmt.Secret{k.Secret}, out...)
	}
	return out, nil
}

func (h *hospital) openBudget(ctx context.Context) error {
	key, err := h.key(ctx, keyBudget)
	if err != nil {
		return err
	}
	path := filepath.Join(h.dir, "budget")
	h.budget, err = dp.Open(ctx, path, key.ExposeSecret(), h.state.BudgetHead)
	if errors.Is(err, fs.ErrNotExist) && h.state.BudgetHead == (dp.Head{}) {
		h.budget, err = dp.Create(ctx, path, key.ExposeSecret(), budgetLimits())
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w. It holds what was spent of the privacy budget. Restore it; without it no more questions can be answered safely", err)
	}
	return err
}

// columnsKey returns the key that the columns on disk are under: the one that the state names, not always the newest.
func (h *hospital) columnsKey(ctx context.Context) (*he.Key, error) {
	versions, err := h.versions(ctx, keyColumns)
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		k, err := he.NewKey(v.ExposeSecret())
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", keyColumns, err)
		}
		if k.ID() == h.state.ColumnsKey {
			return k, nil
		}
	}
	return nil, fmt.Errorf("the ring has no key for the columns under %s", h.columnsDir(h.state.ColumnsKey))
}

func (h *hospital) columnsDir(id he.KeyID) string {
	return filepath.Join(h.dir, "columns", id.String())
}

// remember writes the state with the present anchors of every part, so that older copies of them are noticed.
func (h *hospital) remember(ctx context.Context) error {
	version, err := h.ring.Version(ctx)
	if err != nil {
		return err
	}
	h.state.RingVersion = version
	h.state.Checkpoint = h.log.Checkpoint().Bytes()
	h.state.BudgetHead = h.budget.Head()
	for name, ix := range h.index {
		h.state.Anchors[name] = ix.Anchor()
	}
	return writeState(h.statePath, h.stateKey, h.state)
}

func (h *hospital) close() error {
	var errs []error
	if h.budget != nil {
		errs = append(errs, h.budget.Close())
	}
	if h.log != nil {
		errs = append(errs, h.log.Close())
	}
	if h.blobs != nil {
		errs = append(errs, h.blobs.Close())
	}
	if h.ring != nil {
		errs = append(errs, h.ring.Close())
	}
	return errors.Join(errs...)
}

// pseudonym replaces a patient's id outside of sealed records. Who lacks the key of the pseudonyms cannot tell whose it is.
func (h *hospital) pseudonym(patient string) string {
	return hex.EncodeToString(h.mac("patient", patient)[:16])
}

// recordID replaces a record's id in the index and in the header of its object.
func (h *hospital) recordID(ref string) string { return hex.EncodeToString(h.mac("record", ref)[:16]) }

func (h *hospital) mac(kind, id string) []byte {
	m := hmac.New(sha256.New, h.pseudonyms.ExposeSecret())
	fmt.Fprintf(m, "veilchart examples/ward v1 %s %d:%s", kind, len(id), id)
	return m.Sum(nil)
}

// patientKey is what the key service hands out to those who treat the patient. ErrDestroyed once the patient has been erased.
func (h *hospital) patientKey(ctx context.Context, pseudonym, who, why string) (*keymgmt.Secret, error) {
	k, err := h.ring.Get(keymgmt.WithUse(ctx, keymgmt.Use{Actor: who, Reason: why}), keyPatient+pseudonym)
	if err != nil {
		return nil, fmt.Errorf("the key of patient %s: %w", short(pseudonym), err)
	}
	return k.Secret, nil
}

// companion is the part of the patient's key that goes into every seal.
func companion(patient *keymgmt.Secret) ([]byte, error) {
	s, err := patient.Derive(keymgmt.PurposeContent)
	if err != nil {
		return nil, err
	}
	return s.ExposeSecret(), nil
}

func short(id string) string { return id[:min(8, len(id))] }
