package main

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/he"
	"github.com/veilchart/veilchart/keymgmt"
	"github.com/veilchart/veilchart/sse"
)

// opened makes a ward of a few patients in a folder, without the story.
func opened(t *testing.T, dir string, patients int) (*hospital, *ward, keymgmt.Wrapper) {
	t.Helper()
	ctx := context.Background()
	w, err := readWard(small(t, patients))
	require.NoError(t, err)
	wrapper, err := unlock(options{}, dir, tellTo(io.Discard, io.Discard))
	require.NoError(t, err)
	h, err := openHospital(ctx, dir, wrapper)
	require.NoError(t, err)
	require.NoError(t, h.finishIngest(ctx, w, tellTo(io.Discard, io.Discard)))
	require.NoError(t, h.remember(ctx))
	return h, w, wrapper
}

// A patient who was erased stays so against everybody who kept a copy of every file but the root folder, even with the root folder
// of today and every key that it leads to.
func TestErasureHoldsAgainstOldCopies(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "ward")
	h, w, wrapper := opened(t, dir, 3)
	doctor, err := h.enrol(ctx, cardiologist)
	require.NoError(t, err)
	victim := h.pseudonym(w.patients[1])
	before, err := h.search(ctx, doctor, sse.Term("patient", sse.String(victim)), 1000)
	require.NoError(t, err)
	require.NotEmpty(t, before.hits)
	_, err = h.open(ctx, doctor, before.hits[0])
	require.NoError(t, err, "before the erasure the record opens")
	oldColumnsKey := h.state.ColumnsKey
	h.state.Sample = before.hits[0].cid.String()

	// The copy: everything that a backup would hold.
	backup := t.TempDir()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == "root.nobackup" {
			return filepath.SkipDir
		}
		rel, _ := filepath.Rel(dir, path)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(backup, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(backup, rel), b, 0o600)
	}))

	require.NoError(t, h.erase(ctx, victim, 1, func(string) {}))

	// Every secret that the ring of today gives: each a possible key to what is in the copy.
	var secrets [][]byte
	list, err := h.ring.List(ctx, "")
	require.NoError(t, err)
	for _, info := range list {
		if info.State == keymgmt.StateDestroyed {
			continue
		}
		k, err := h.ring.GetVersion(ctx, info.Name, info.Version)
		require.NoError(t, err)
		secrets = append(secrets, k.Secret.ExposeSecret())
	}
	require.Greater(t, len(secrets), 10)

	sealed, err := h.fetch(ctx, before.hits[0].cid)
	require.NoError(t, err)
	for _, s := range secrets {
		if len(s) != 32 {
			continue
		}
		_, err := doctor.key.Open(sealed, &abe.Options{Companion: s})
		require.ErrorIs(t, err, abe.ErrDecrypt)
		comp, err := companion(keymgmt.NewSecret(s))
		require.NoError(t, err)
		_, err = doctor.key.Open(sealed, &abe.Options{Companion: comp})
		require.ErrorIs(t, err, abe.ErrDecrypt)

		store, err := sse.OpenDir(filepath.Join(backup, "index"))
		require.NoError(t, err)
		for _, p := range partitions {
			_, err := sse.Open(ctx, store, s, partitionID(p), sse.Options{})
			require.ErrorIs(t, err, sse.ErrDecrypt, "an old index of %s opens under a key of today", p)
		}
	}
	columns, err := os.ReadDir(filepath.Join(backup, "columns", oldColumnsKey.String()))
	require.NoError(t, err)
	for _, f := range columns {
		b, err := os.ReadFile(filepath.Join(backup, "columns", oldColumnsKey.String(), f.Name()))
		require.NoError(t, err)
		c, err := he.NewColumn(b)
		require.NoError(t, err)
		for _, s := range secrets {
			if k, err := he.NewKey(s); err == nil {
				require.ErrorIs(t, k.Verify(c), he.ErrDecrypt, "an old column opens under a key of today")
			}
		}
	}
	// The old ring with the root file of today.
	today := keymgmt.FilesIn(filepath.Join(dir, "keys"))
	_, err = keymgmt.OpenKeyring(ctx, keymgmt.Files{Ring: filepath.Join(backup, "keys", "ring"), Root: today.Root}, wrapper, keymgmt.Options{})
	require.Error(t, err)

	// The others are as they were.
	require.NoError(t, h.close())
	h, err = openHospital(ctx, dir, wrapper)
	require.NoError(t, err)
	defer func() { require.NoError(t, h.close()) }()
	doctor, err = h.enrol(ctx, cardiologist)
	require.NoError(t, err)
	rest, err := h.search(ctx, doctor, sse.Not(sse.Term("patient", sse.String(victim))), 10000)
	require.NoError(t, err)
	want := 0
	for _, r := range w.records {
		if h.pseudonym(r.patient) != victim && classify(r) != classPsychiatry && classify(r) != classInfection {
			want++
		}
	}
	assert.Equal(t, want, rest.total)
	_, err = h.open(ctx, doctor, rest.hits[0])
	require.NoError(t, err)
	require.ErrorContains(t, h.erase(ctx, h.pseudonym(w.patients[0]), 0, func(string) {}), "already")
}

// An erasure that stops after any of its steps is finished by the next run of the program, before anything else.
func TestErasureIsFinishedByTheNextRun(t *testing.T) {
	ctx := context.Background()
	records := writeRecords(t, small(t, 2))
	steps := 0
	every := 1
	if testing.Short() {
		every = 4
	}
	for stop := 1; stop == 1 || stop <= steps; stop += every {
		dir := filepath.Join(t.TempDir(), "ward")
		h, w, _ := opened(t, dir, 2)
		doctor, err := h.enrol(ctx, cardiologist)
		require.NoError(t, err)
		victim := h.pseudonym(w.patients[0])
		f, err := h.search(ctx, doctor, sse.Term("patient", sse.String(victim)), 1)
		require.NoError(t, err)
		h.state.Sample = f.hits[0].cid.String()
		cut, cancel := context.WithCancel(ctx)
		n := 0
		err = h.erase(cut, victim, 0, func(string) {
			if n++; n == stop {
				cancel()
			}
		})
		if err == nil {
			steps = n // past the last step, or at it: nothing after it looks at the context
		} else {
			require.ErrorIs(t, err, context.Canceled, "stopped at step %d", stop)
			steps = max(steps, stop+every)
		}
		cancel()
		require.NoError(t, h.close())

		r, out, err := play(t, options{dir: dir, records: records})
		require.NoError(t, err, "after a stop at step %d\n%s", stop, out)
		assert.Zero(t, r.Wrong, out)

		h, err = openHospital(ctx, dir, keyFile(t, dir))
		require.NoError(t, err)
		assert.True(t, h.state.Erased)
		assert.Equal(t, victim, h.state.Erasing)
		gone := 0
		for _, r := range w.records {
			if h.pseudonym(r.patient) == victim {
				gone++
			}
		}
		assert.Equal(t, gone, h.state.Removed)
		require.NoError(t, h.verifyAll(ctx))
		list, err := h.ring.List(ctx, "")
		require.NoError(t, err)
		for _, k := range list {
			if strings.HasPrefix(k.Name, keyIndex) || k.Name == keyColumns {
				assert.Contains(t, []keymgmt.State{keymgmt.StatePrimary, keymgmt.StateDestroyed}, k.State, "version %d of %s", k.Version, k.Name)
			}
		}
		blobs := 0
		for _, err := range h.blobs.All(ctx) {
			require.NoError(t, err)
			blobs++
		}
		assert.Equal(t, len(w.records)-gone+1, blobs, "the erased patient's objects are deleted, but for the one that is shown")
		require.NoError(t, h.close())
	}
	assert.Greater(t, steps, len(partitions)+2)
}

func keyFile(t *testing.T, dir string) keymgmt.Wrapper {
	t.Helper()
	w, err := unlock(options{}, dir, tellTo(io.Discard, io.Discard))
	require.NoError(t, err)
	return w
}

// No name, no diagnosis and no identifier of a patient stands in any file of the folder.
func TestNothingLiesOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ward")
	h, w, _ := opened(t, dir, 6)
	require.NoError(t, h.close())
	open := map[string]bool{}
	for _, r := range w.records {
		open[r.id], open[r.patient] = true, true
		if r.kind == "Patient" {
			open[r.name] = true
			for _, part := range strings.Fields(r.name) {
				if len(part) > 5 {
					open[part] = true
				}
			}
		}
		if len(r.display) > 8 {
			open[r.display] = true
		}
	}
	require.Greater(t, len(open), 400)
	files := snapshot(t, dir)
	require.Greater(t, len(files), 100)
	for text := range open {
		for path, content := range files {
			if strings.Contains(content, text) {
				t.Errorf("%s holds %q", path, text)
			}
		}
	}
}

// Two runs in one folder at the same time: the second is told so, and nothing is lost.
func TestSecondRunIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ward")
	h, _, wrapper := opened(t, dir, 1)
	_, err := openHospital(context.Background(), dir, wrapper)
	require.Error(t, err)
	assert.Regexp(t, "open for writing elsewhere", err.Error())
	require.NoError(t, h.close())
	h, err = openHospital(context.Background(), dir, wrapper)
	require.NoError(t, err)
	require.NoError(t, h.close())
}
