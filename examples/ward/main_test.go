package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/keymgmt"
)

// program is the example as a user runs it, built once.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ward-program-")
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "ward")
		if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			fmt.Printf("%v\n%s", err, out)
			return 1
		}
		os.Unsetenv(passphraseVariable)
		return m.Run()
	}())
}

// whole is the ward that comes with the program, read once.
var whole = sync.OnceValues(func() (*ward, error) { return readWard(wardRecords) })

// small is a ward of a few patients with few records, as NDJSON.
func small(t *testing.T, patients int) []byte {
	t.Helper()
	w, err := whole()
	require.NoError(t, err)
	n := map[string]int{}
	for _, r := range w.records {
		n[r.patient]++
	}
	var keep []string
	for _, p := range w.patients {
		if n[p] > 40 && n[p] < 140 && len(keep) < patients {
			keep = append(keep, p)
		}
	}
	require.Len(t, keep, patients)
	var out bytes.Buffer
	for _, r := range w.records {
		if slices.Contains(keep, r.patient) {
			out.Write(r.raw)
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

func writeRecords(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "records.ndjson")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

// play runs the whole story in this process.
func play(t *testing.T, o options) (*report, string, error) {
	t.Helper()
	var out bytes.Buffer
	r, err := run(context.Background(), o, tellTo(&out, &out))
	return r, out.String(), err
}

// The main job, as the README runs it, twice in one folder.
func TestTheMainJob(t *testing.T) {
	if testing.Short() {
		t.Skip("the whole ward; the short form plays the story with a small one")
	}
	dir := filepath.Join(t.TempDir(), "ward")
	var first, second report
	for i, r := range []*report{&first, &second} {
		cmd := exec.Command(program, "-dir", dir, "-json")
		var out, errOut bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errOut
		require.NoError(t, cmd.Run(), "run %d\n%s\n%s", i+1, out.String(), errOut.String())
		require.NoError(t, json.Unmarshal(out.Bytes(), r), "%s", out.String())
		assert.Contains(t, errOut.String(), "no passphrase", "the warning is there also with -json")
	}
	assert.Equal(t, "new", first.Run)
	assert.Equal(t, "reopened", second.Run)
	assert.Equal(t, 30465, first.Records)
	for _, s := range append(first.Steps, second.Steps...) {
		assert.True(t, s.OK, "%s: %s", s.Act, s.What)
	}
	// Permanent steps were not taken again.
	stored := func(r report, what string) store {
		i := slices.IndexFunc(r.Stored, func(s store) bool { return s.What == what })
		require.GreaterOrEqual(t, i, 0)
		return r.Stored[i]
	}
	for _, what := range []string{"sealed records", "log", "search index", "encrypted columns", "privacy budget", "key ring"} {
		assert.Equal(t, stored(first, what).Count, stored(second, what).Count, what)
	}
	assert.Equal(t, stored(first, "search index").Count+1, stored(first, "sealed records").Count, "one object of the erased patient is kept to be shown")
	assert.Less(t, stored(first, "search index").Count, int64(30465), "the erased patient's rows are gone")
	before := 0
	for _, s := range second.Steps {
		if s.Before {
			before++
		}
	}
	assert.GreaterOrEqual(t, before, 5)
	answers := func(r report) (out []string) {
		for _, s := range r.Steps {
			if strings.HasPrefix(s.Act, "A researcher") {
				out = append(out, s.What)
			}
		}
		return out
	}
	assert.Equal(t, answers(first), answers(second), "the same numbers, from the cache; and the same refusal")
}

func TestTheStoryWithOtherRecords(t *testing.T) {
	dir := t.TempDir()
	in := append(small(t, 4), []byte("{\"resourceType\":\"Observation\"\n")...)
	o := options{dir: dir, records: writeRecords(t, in)}
	r, out, err := play(t, o)
	require.NoError(t, err, out)
	assert.Zero(t, r.Wrong, out)
	assert.Len(t, r.Malformed, 1)
	assert.Contains(t, out, "the input's line ")
	again, out, err := play(t, o)
	require.NoError(t, err, out)
	assert.Zero(t, again.Wrong, out)
	assert.Equal(t, "reopened", again.Run)

	// Other records do not go into the same folder.
	o.records = writeRecords(t, small(t, 3))
	_, _, err = play(t, o)
	require.ErrorContains(t, err, "another ward's records")
}

// Killed at any moment, again and again, the ingest ends with every record stored once.
func TestKilledRunsResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ward")
	records := writeRecords(t, small(t, 24))
	w, err := readWard(small(t, 24))
	require.NoError(t, err)
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	kills := 0
	for i := range rounds {
		cmd := exec.Command(program, "-dir", dir, "-records", records, "-json")
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(50+rand.IntN(400+250*i)) * time.Millisecond)
		if cmd.Process.Signal(syscall.SIGKILL) == nil {
			kills++
		}
		_ = cmd.Wait()
	}
	out, err := exec.Command(program, "-dir", dir, "-records", records, "-json").Output()
	require.NoError(t, err, "after %d kills\n%s", kills, out)
	var r report
	require.NoError(t, json.Unmarshal(out, &r))
	assert.Zero(t, r.Wrong)
	count := map[string]int64{}
	for _, s := range r.Stored {
		count[s.What] = s.Count
	}
	last := 0 // records of the patient who is erased
	for _, r := range w.records {
		if r.patient == w.patients[len(w.patients)-1] {
			last++
		}
	}
	assert.Equal(t, int64(len(w.records)-last), count["search index"])
	assert.Equal(t, count["search index"]+1, count["sealed records"])
	for _, s := range r.Stored {
		switch s.What {
		case "log":
			assert.GreaterOrEqual(t, s.Count, int64(len(w.records)))
		}
	}
}

// Killed anywhere between the ingest and the end of the erasure, the next run finishes the story.
func TestKilledInTheStory(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	records := writeRecords(t, small(t, 3))
	base := filepath.Join(t.TempDir(), "ward")
	h, _, _ := opened(t, base, 3)
	require.NoError(t, h.close())
	start := time.Now()
	first := filepath.Join(t.TempDir(), "ward")
	require.NoError(t, os.CopyFS(first, os.DirFS(base)))
	keepModes(t, first, base)
	out, err := exec.Command(program, "-dir", first, "-records", records, "-json").CombinedOutput()
	require.NoError(t, err, "%s", out)
	whole := time.Since(start)
	for i := range rounds {
		dir := filepath.Join(t.TempDir(), "ward")
		require.NoError(t, os.CopyFS(dir, os.DirFS(base)))
		keepModes(t, dir, base)
		cmd := exec.Command(program, "-dir", dir, "-records", records, "-json")
		require.NoError(t, cmd.Start())
		time.Sleep(time.Duration(rand.Int64N(int64(whole))))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		out, err := exec.Command(program, "-dir", dir, "-records", records, "-json").CombinedOutput()
		require.NoError(t, err, "round %d\n%s", i, out)
		assert.NoDirExists(t, filepath.Join(dir, "tmp"))
	}
}

// keepModes gives the copies the modes of their originals, which CopyFS leaves to the umask.
func keepModes(t *testing.T, to, from string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		return os.Chmod(filepath.Join(to, rel), info.Mode().Perm())
	}))
}

// Two interruptions in a row, the second while the first is being cleaned up, leave nothing behind.
func TestOrphansOfAnInterruptedBatchAreSwept(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "ward")
	w, err := readWard(small(t, 3))
	require.NoError(t, err)
	silent := tellTo(io.Discard, io.Discard)
	h, err := openHospital(ctx, dir, keyFile(t, dir))
	require.NoError(t, err)
	// The first run dies after it wrote sealed records and before it logged them.
	h.state.Input, h.state.Started = w.sum, 1
	require.NoError(t, h.remember(ctx))
	_, _, err = h.blobs.Put(ctx, strings.NewReader("a sealed record that was never logged"))
	require.NoError(t, err)
	require.NoError(t, h.close())
	// The second dies between the last batch and the sweep.
	h, err = openHospital(ctx, dir, keyFile(t, dir))
	require.NoError(t, err)
	h.state.Sweep = h.state.Started > h.state.Batches
	require.NoError(t, h.ingest(ctx, w, silent.progress(len(w.records))))
	require.NoError(t, h.close())
	h, err = openHospital(ctx, dir, keyFile(t, dir))
	require.NoError(t, err)
	require.True(t, h.state.Sweep, "the need to sweep outlives the run")
	require.NoError(t, h.finishIngest(ctx, w, silent))
	require.NoError(t, h.verifyAll(ctx))
	assert.False(t, h.state.Sweep)
	require.NoError(t, h.close())
}

// Input that is no ward is refused before anything is made, and the error says what was expected.
func TestInputThatIsNoWard(t *testing.T) {
	for name, in := range map[string]string{"empty": "", "pretty": "{\n  \"resourceType\": \"Patient\",\n  \"id\": \"a\"\n}\n"} {
		dir := filepath.Join(t.TempDir(), "ward")
		records := writeRecords(t, []byte(in))
		_, _, err := play(t, options{dir: dir, records: records})
		require.ErrorContains(t, err, records, name)
		require.ErrorContains(t, err, "one FHIR R4 resource in JSON on each line", name)
		assert.NoDirExists(t, dir, "%s: nothing is made for input that cannot be used", name)
	}
	// A folder that holds something else is left as it is.
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "log"), 0o700))
	_, _, err := play(t, options{dir: dir})
	require.ErrorContains(t, err, "another folder")
	assert.NoDirExists(t, filepath.Join(dir, "keys"))
}

// Whatever file of the folder is cut, flipped, replaced or removed: the run says which, and does not crash, and does not go on as if
// nothing had happened.
func TestDamagedFilesAreNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ward")
	o := options{dir: dir, records: writeRecords(t, small(t, 3))}
	_, out, err := play(t, o)
	require.NoError(t, err, out)

	perFolder := map[string]int{}
	var files []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		top := strings.Split(rel, string(filepath.Separator))[0]
		if limit := map[string]int{"blobs": 3, "columns": 2}[top]; info.Size() == 0 || limit > 0 && perFolder[top] >= limit {
			return nil // lock files are empty: there is nothing to damage
		}
		perFolder[top]++
		files = append(files, rel)
		return nil
	}))
	for _, top := range []string{"keys", "public", "index-keys", "blobs", "log", "index", "columns", "budget", "state"} {
		assert.Positive(t, perFolder[top], top)
	}
	damages := map[string]func(path string, b []byte) error{
		"flipped": func(p string, b []byte) error {
			c := bytes.Clone(b)
			c[len(c)/2] ^= 0x10
			return os.WriteFile(p, c, 0o600)
		},
		"truncated": func(p string, b []byte) error { return os.WriteFile(p, b[:len(b)/2], 0o600) },
		"foreign": func(p string, b []byte) error {
			return os.WriteFile(p, []byte("PK\x03\x04 this is another program's file"), 0o600)
		},
		"removed": func(p string, b []byte) error { return os.Remove(p) },
	}
	for _, rel := range files {
		if old := strings.HasPrefix(rel, "index") && superseded(t, filepath.Join(dir, rel)); old {
			continue
		}
		for name, damage := range damages {
			t.Run(rel+"/"+name, func(t *testing.T) {
				path := filepath.Join(dir, rel)
				info, err := os.Stat(path)
				require.NoError(t, err)
				good, err := os.ReadFile(path)
				require.NoError(t, err)
				require.NoError(t, os.Chmod(path, 0o600))
				require.NoError(t, damage(path, good))
				t.Cleanup(func() {
					if name == "removed" && remade(rel) {
						return // it was written anew
					}
					require.NoError(t, os.WriteFile(path, good, 0o600))
					require.NoError(t, os.Chmod(path, info.Mode()))
				})
				r, out, err := play(t, o)
				if name == "removed" && remade(rel) {
					require.NoError(t, err, "a removed %s is written again", rel)
					return
				}
				require.Error(t, err, out)
				named := rel
				if name == "removed" && strings.HasPrefix(rel, "index"+string(filepath.Separator)) {
					named = filepath.Dir(filepath.Dir(rel)) // of a head that is gone, the partition is named
				}
				assert.Contains(t, err.Error(), named)
				assert.NotContains(t, err.Error(), "%!", "badly formatted")
				assert.Zero(t, r.Wrong)
			})
		}
	}
	_, out, err = play(t, o)
	require.NoError(t, err, "put back, everything is as before\n%s", out)
}

// remade files hold nothing that is not elsewhere.
func remade(rel string) bool {
	return strings.HasPrefix(rel, "public") || strings.HasPrefix(rel, "index-keys")
}

// superseded reports whether a file of the index is an old head, which is kept for writers that do not know how a swap ended.
func superseded(t *testing.T, path string) bool {
	t.Helper()
	if !strings.Contains(filepath.Base(path), "head") && !strings.Contains(filepath.Dir(path), "head") {
		return false
	}
	siblings, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	return siblings[len(siblings)-1].Name() != filepath.Base(path)
}

func TestPassphrase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ward")
	records := writeRecords(t, small(t, 1))
	phrase := func(s string) string {
		path := filepath.Join(t.TempDir(), "phrase")
		require.NoError(t, os.WriteFile(path, []byte(s), 0o600))
		return path
	}
	right := options{dir: dir, records: records, passphrase: phrase("correct horse\n")}
	_, out, err := play(t, right)
	require.NoError(t, err, out)
	assert.NotContains(t, out, "Warning")
	before := snapshot(t, dir)

	_, _, err = play(t, options{dir: dir, records: records, passphrase: phrase("wrong horse")})
	require.ErrorIs(t, err, keymgmt.ErrWrongKey)
	_, _, err = play(t, options{dir: dir, records: records})
	require.ErrorContains(t, err, passphraseVariable)
	_, _, err = play(t, options{dir: dir, records: records, passphrase: phrase("\n")})
	require.ErrorContains(t, err, "empty")
	assert.Equal(t, before, snapshot(t, dir), "a wrong passphrase changes nothing")

	cmd := exec.Command(program, "-dir", dir, "-records", records, "-q")
	cmd.Env = append(os.Environ(), passphraseVariable+"=correct horse")
	all, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", all)
}

// snapshot maps every file to its content.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	}))
	return files
}

// A disk that fills up stops the ingest with an error; with more room the next run goes on and nothing is lost.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if runtime.GOOS != "linux" || syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m") != nil {
		t.Skip("needs Linux and the right to mount a small tmpfs")
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	records := writeRecords(t, small(t, 24))
	o := options{dir: dir, records: records}
	r, out, err := play(t, o)
	require.ErrorIs(t, err, syscall.ENOSPC, out)
	assert.Zero(t, r.Wrong)
	_, _, err = play(t, o)
	require.ErrorIs(t, err, syscall.ENOSPC, "again, with the disk as full as before")
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=200m"))
	r, out, err = play(t, o)
	require.NoError(t, err, out)
	assert.Zero(t, r.Wrong, out)
}

func TestInterruptedRunSaysHowToGoOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ward")
	cmd := exec.Command(program, "-dir", dir)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	story := bufio.NewScanner(out)
	for story.Scan() && !strings.HasPrefix(strings.TrimSpace(story.Text()), "Data folder") {
	} // from here on the program listens, and it has thousands of records to store before it ends
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_, err = io.Copy(io.Discard, out)
	require.NoError(t, err)
	err = cmd.Wait()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%v", err)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Contains(t, errOut.String(), "run again with -dir "+dir)
}
