package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cloudflare/circl/abe/cpabe/tkn20"
	fame "github.com/fentec-project/gofe/abe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/bench/measure"
)

// tiny is the suite on little data: each path runs.
func tiny() abeSuite {
	return abeSuite{streamBytes: 1<<20 + 1, memoryBytes: 3 << 20, records: 3, batchLeaves: 2, coldLeaves: []int{2}, coreLeaves: []int{1}}
}

// A real run with every measurement. What it measures is not looked at, but that everything is there and is of the right unit.
func TestEveryMeasurementRuns(t *testing.T) {
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	status := run(t.Context(), []string{"-leaves", "1", "-count", "1", "-time", "1ms", "-o", dir}, []suite{tiny()}, &stdout, &stderr)
	require.Equal(t, 0, status, stderr.String())
	summary, err := os.ReadFile(filepath.Join(dir, "summary.tsv"))
	require.NoError(t, err)
	got := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(string(summary)), "\n")[1:] {
		fields := strings.Split(line, "\t")
		require.Len(t, fields, 9, "%q", line)
		assert.NotEqual(t, "0", fields[4], "%q", line)
		got[strings.Join(fields[1:4], " ")] = true
	}
	want := map[string]bool{}
	for name, impls := range map[string]string{
		"setup": "veilchart tkn20 fame", "issue/leaves=1": "veilchart tkn20 fame veilchart-1core",
		"seal/leaves=1": "veilchart tkn20 fame veilchart-1core", "open/leaves=1": "veilchart tkn20 fame veilchart-1core",
		"seal-cold/leaves=2": "veilchart tkn20", "open-cold/leaves=2": "veilchart tkn20",
		"seal-batch/records=3": "veilchart one-by-one", "seal-shared/records=3": "veilchart one-by-one",
		"kem-seal/leaves=1": "veilchart", "kem-open/leaves=1": "veilchart", "decapsulate/leaves=1": "veilchart limit",
	} {
		for impl := range strings.FieldsSeq(impls) {
			want[name+" "+impl+" ns/op"], want[name+" "+impl+" B/op"], want[name+" "+impl+" allocs/op"] = true, true, true
		}
	}
	for _, impl := range []string{"veilchart", "tkn20", "fame"} {
		want["header/leaves=1 "+impl+" bytes"], want["key/leaves=1 "+impl+" bytes"] = true, true
	}
	for _, name := range []string{"stream-seal", "stream-open"} {
		for _, impl := range []string{"veilchart", "limit"} {
			for _, unit := range []string{"B/s", "B/op", "allocs/op"} {
				want[name+" "+impl+" "+unit] = true
			}
		}
	}
	want["stream-rss veilchart MiB"] = true
	assert.Equal(t, want, got)
	assert.Contains(t, stdout.String(), "CPA only, a BN curve of about 100 bits, CBC without a MAC")
	assert.NotContains(t, stdout.String(), unknown+",")
}

// Each scheme opens what it sealed, and a key that lacks one attribute of the AND does not: a peer that opened everything, or an AND of which one
// leaf is enough, would be fast for nothing.
func TestEveryPathDecryptsAndRefuses(t *testing.T) {
	for _, start := range []func() (implementation, error){newVeilchart, newTKN20, newFAME} {
		i, err := start()
		require.NoError(t, err)
		t.Run(i.impl, func(t *testing.T) {
			require.NoError(t, i.setup())
			for _, n := range []int{1, 4} {
				b, err := i.bed(n)
				require.NoError(t, err)
				assert.ErrorIs(t, b.open(), errNotMade)
				require.NoError(t, b.issue())
				assert.ErrorIs(t, b.open(), errNotMade)
				require.NoError(t, b.seal())
				require.NoError(t, b.open())
				require.NoError(t, both(b))
				length, err := b.header()
				require.NoError(t, err)
				assert.Greater(t, length, 48*n)
				length, err = b.keyBytes()
				require.NoError(t, err)
				assert.Greater(t, length, 48*n)
				if cold, ok := b.(coldBed); ok {
					require.NoError(t, cold.encode())
					require.NoError(t, cold.sealCold())
					require.NoError(t, cold.openCold())
				}
				for missing := range n {
					assert.Error(t, lacking(t, b, missing), "%d leaves, without attribute %d", n, missing)
				}
			}
		})
	}
}

// The numbers of veilchart include a window of a year in keys and a day in headers, which a key outside its window does not open.
func TestVeilchartPaysForItsWindow(t *testing.T) {
	i, err := newVeilchart()
	require.NoError(t, err)
	b, err := i.bed(1)
	require.NoError(t, err)
	require.NoError(t, both(b))
	v := b.(*veilchartBed)
	w := v.key.Window()
	assert.Equal(t, 365, int(w.Last-w.First)+1)
	h, err := abe.Inspect(v.object)
	require.NoError(t, err)
	assert.True(t, w.Contains(h.Day))
	length, err := v.header()
	require.NoError(t, err)
	assert.Greater(t, length, 9*48, "a leaf, and eight for the day")
	v.key, err = v.authority.IssueKey(abe.Window{First: w.First, Last: h.Day - 1}, v.attributes...)
	require.NoError(t, err)
	assert.ErrorIs(t, v.open(), abe.ErrDecrypt)
}

// lacking opens the object of b with a key of the same authority for all attributes but one, or for a foreign one if there is only one.
func lacking(t *testing.T, b bed, missing int) error {
	t.Helper()
	switch b := b.(type) {
	case *veilchartBed:
		other := *b
		other.attributes = append(append(other.attributes[:0:0], b.attributes[:missing]...), b.attributes[missing+1:]...)
		if len(other.attributes) == 0 {
			other.attributes = append(other.attributes, attribute("foreign"))
		}
		require.NoError(t, other.issue())
		return other.open()
	case *tkn20Bed:
		other := *b
		other.attributes = map[string]string{"foreign": attributeValue}
		for name, value := range b.attributes {
			if name != attributeName(missing) {
				other.attributes[name] = value
			}
		}
		require.NoError(t, other.issue())
		return other.open()
	case *fameBed:
		other := *b
		other.attributes = append(append([]string{"foreign"}, b.attributes[:missing]...), b.attributes[missing+1:]...)
		require.NoError(t, other.issue())
		return other.open()
	}
	t.Fatalf("no way to make a key of %T", b)
	return nil
}

// A changed object does not open. FAME is left out: it has no check of its ciphertext, which is why it counts as CPA.
func TestChangedObjectsAreRefused(t *testing.T) {
	for _, start := range []func() (implementation, error){newVeilchart, newTKN20} {
		i, err := start()
		require.NoError(t, err)
		b, err := i.bed(2)
		require.NoError(t, err)
		require.NoError(t, both(b))
		var object *[]byte
		switch b := b.(type) {
		case *veilchartBed:
			object = &b.object
		case *tkn20Bed:
			object = &b.object
		}
		for at := 0; at < len(*object); at += len(*object)/40 + 1 {
			(*object)[at] ^= 1
			assert.Error(t, b.open(), "%s, byte %d", i.impl, at)
			(*object)[at] ^= 1
		}
		require.NoError(t, b.open())
	}
}

// The row "fame" is faster than it would be with a check: any block of its payload can be changed and opens to something else.
func TestFAMEOpensChangedPayloads(t *testing.T) {
	i, err := newFAME()
	require.NoError(t, err)
	b, err := i.bed(1)
	require.NoError(t, err)
	require.NoError(t, both(b))
	f := b.(*fameBed)
	f.object.Iv[0] ^= 1
	text, err := f.scheme.Decrypt(f.object, f.key, f.public)
	require.NoError(t, err, "the README says that gofe takes changed payloads")
	assert.Equal(t, string(record[1:]), text[1:])
	assert.NotEqual(t, record[0], text[0])
	assert.Error(t, f.open())
}

// The policies are what they are taken for by the parsers of the peers.
func TestPoliciesOfPeers(t *testing.T) {
	assert.Equal(t, "a0: x", balanced(0, 1))
	assert.Equal(t, "((a0: x and a1: x) and (a2: x and (a3: x and a4: x)))", balanced(0, 5))
	for _, n := range []int{1, 2, 100, maxLeaves} {
		var policy tkn20.Policy
		require.NoError(t, policy.FromString(balanced(0, n)))
		pairs := policy.ExtractAttributeValuePairs()
		assert.Len(t, pairs, n)
		i, err := newFAME()
		require.NoError(t, err)
		b, err := i.bed(n)
		require.NoError(t, err)
		msp := b.(*fameBed).policy
		require.Len(t, msp.RowToAttrib, n)
		seen := map[string]bool{}
		for row, name := range msp.RowToAttrib {
			assert.Contains(t, pairs, name)
			assert.Len(t, msp.Mat[row], n)
			seen[name] = true
		}
		assert.Len(t, seen, n)
	}
}

// gofe's parser cuts names at AND and OR: the names of the benchmark must be free of them.
func TestGofeCutsNames(t *testing.T) {
	msp, err := fame.BooleanToMSP("NORTH AND doctor", false)
	require.NoError(t, err)
	assert.Len(t, msp.RowToAttrib, 3, "N OR (TH AND doctor)")
	for i := range maxLeaves {
		assert.NotRegexp(t, "AND|OR|[() ]", attributeName(i))
	}
}

func TestTheStreamIsLookedAt(t *testing.T) {
	assert.NoError(t, whole(5, 5))
	assert.ErrorContains(t, whole(4, 5), "4 bytes came out of a stream of 5")
	require.NoError(t, throughPipe(1))
	require.NoError(t, throughPipe(3<<20))
}

func TestMemoryProgram(t *testing.T) {
	var stdout, stderr bytes.Buffer
	for _, args := range [][]string{nil, {"x"}, {"0"}, {"-1"}, {"1", "2"}} {
		assert.Equal(t, 2, memoryMain(args, &stdout, &stderr), "%q", args)
		assert.Contains(t, stderr.String(), "usage: bench stream-rss BYTES")
	}
	assert.Empty(t, stdout.String())
	require.Equal(t, 0, memoryMain([]string{"1000"}, &stdout, &stderr))
	var kib int
	_, err := fmt.Sscan(stdout.String(), &kib)
	require.NoError(t, err)
	assert.Greater(t, kib, 1000, "a Go program with a mebibyte of buffers")
}

// Sizes that the benchmark in abe does not know are left out, not measured as something else.
func TestKEMSizes(t *testing.T) {
	list, done := kemCases([]int{1, 7, 100})
	defer done()
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	assert.Equal(t, []string{"kem-seal/leaves=1", "kem-seal/leaves=100", "kem-open/leaves=1", "kem-open/leaves=100",
		"decapsulate/leaves=1", "decapsulate/leaves=100"}, names)
}

// go test -bench works too: the same operations under the same names.
func BenchmarkAbe(b *testing.B) {
	o, err := parseOptions([]string{"-leaves", "1,10,100"}, suites(), io.Discard)
	require.NoError(b, err)
	cases, done, err := newABE().cases(o)
	require.NoError(b, err)
	defer done()
	for _, c := range cases {
		for _, contender := range c.Contenders {
			if contender.Op == nil {
				continue
			}
			b.Run(c.Name+"/impl="+contender.Impl, func(b *testing.B) { benchmark(b, contender) })
		}
	}
}

func benchmark(b *testing.B, c measure.Contender) {
	if c.Prepare != nil {
		require.NoError(b, c.Prepare(b.Context()))
	}
	if c.Procs > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(c.Procs))
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Op(); err != nil {
			b.Fatal(err)
		}
	}
}
