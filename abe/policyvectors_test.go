package abe

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// policyVector is one file testdata/vectors/v1/policy-*.json. The accepted ones were computed by another program, from
// docs/spec/policy.md.
type policyVector struct {
	Outcome   string // accept; refuse; or reserved: refused by version 1 of the language, open to later ones
	TextHex   string `json:"text_hex"`
	Canonical string
	Cols      int
	Tau       int
	Rows      []struct {
		Attribute string // hex of the encoding
		Rho       int
		Entries   [][2]any // column, hexadecimal element of Z_r
	}
	Offset int
	Why    string
}

func TestPolicyVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/vectors/v1/policy-*.json")
	require.NoError(t, err)
	outcomes := map[string]int{}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			var v policyVector
			require.NoError(t, json.Unmarshal(data, &v))
			text, err := hex.DecodeString(v.TextHex)
			require.NoError(t, err)
			outcomes[v.Outcome]++
			p, err := ParsePolicy(string(text))
			if v.Outcome == "reserved" {
				// Version 1 refused it. This version may read it, but never as a policy of version 1.
				if err == nil {
					require.False(t, p.plain(), "read as %v, which a header of version 1 may hold, but: %s", p, v.Why)
					return
				}
			}
			if v.Outcome == "refuse" || v.Outcome == "reserved" {
				var e *SyntaxError
				require.ErrorAs(t, err, &e, "read as %v, but: %s", p, v.Why)
				assert.Equal(t, v.Offset, e.Offset, "%v", err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "accept", v.Outcome)
			assert.Equal(t, v.Canonical, p.String())
			assert.Equal(t, v.Cols, p.formula().cols())
			assert.Equal(t, v.Tau, p.formula().tau())
			require.Len(t, p.formula().rows(), len(v.Rows))
			for i, r := range p.formula().rows() {
				want := v.Rows[i]
				assert.Equal(t, want.Attribute, hex.EncodeToString([]byte(r.atom)))
				assert.Equal(t, want.Rho, r.rho)
				require.Len(t, r.m, len(want.Entries))
				for j, m := range r.m {
					assert.Equal(t, fmt.Sprint(want.Entries[j][0]), fmt.Sprint(m.col))
					assert.Equal(t, want.Entries[j][1], new(big.Int).SetBytes(m.coeff.be[:]).Text(16))
				}
			}
		})
	}
	assert.Equal(t, map[string]int{"accept": 16, "refuse": 60, "reserved": 12}, outcomes, "files are added, never removed")
}

// policyVector2 is one file testdata/vectors/v1/policy2-*.json, for version 2 of the language. They were computed by another program, which does not parse
// but knows each policy as a tree, from docs/spec/policy.md.
type policyVector2 struct {
	Outcome      string // accept; refuse, by the parser; meaningless, under the vocabulary
	TextHex      string `json:"text_hex"`
	Vocabulary   string
	Canonical    string
	Declarations string
	Cols         int
	Tau          int
	Rows         []struct {
		Atom    string // hexadecimal
		Rho     int
		Entries [][2]any // column, hexadecimal element of Z_r
	}
	Offset int
	Why    string
}

func TestPolicyVectors2(t *testing.T) {
	files, err := filepath.Glob("testdata/vectors/v1/policy2-*.json")
	require.NoError(t, err)
	outcomes := map[string]int{}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			var v policyVector2
			require.NoError(t, json.Unmarshal(data, &v))
			text, err := hex.DecodeString(v.TextHex)
			require.NoError(t, err)
			outcomes[v.Outcome]++
			p, err := ParsePolicy(string(text))
			if v.Outcome == "refuse" {
				var e *SyntaxError
				require.ErrorAs(t, err, &e, "read as %v, but: %s", p, v.Why)
				assert.Equal(t, v.Offset, e.Offset, "%v", err)
				return
			}
			require.NoError(t, err)
			declared := vocabulary(t, v.Vocabulary)
			f, err := p.expand(declared)
			if v.Outcome == "meaningless" {
				require.Error(t, err, v.Why)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "accept", v.Outcome)
			assert.Equal(t, v.Canonical, p.String())
			assert.Equal(t, v.Declarations, p.declarations(declared).String())
			part, err := decodeDeclarations(p, v.Declarations)
			require.NoError(t, err)
			again, err := p.expand(part)
			require.NoError(t, err)
			assert.Equal(t, f.rows(), again.rows())
			assert.Equal(t, v.Cols, f.cols())
			assert.Equal(t, v.Tau, f.tau())
			require.Len(t, f.rows(), len(v.Rows))
			for i, r := range f.rows() {
				want := v.Rows[i]
				assert.Equal(t, want.Atom, hex.EncodeToString([]byte(r.atom)))
				assert.Equal(t, want.Rho, r.rho)
				require.Len(t, r.m, len(want.Entries))
				for j, m := range r.m {
					assert.Equal(t, fmt.Sprint(want.Entries[j][0]), fmt.Sprint(m.col))
					assert.Equal(t, want.Entries[j][1], new(big.Int).SetBytes(m.coeff.be[:]).Text(16))
				}
			}
		})
	}
	assert.Equal(t, map[string]int{"accept": 28, "refuse": 42, "meaningless": 28}, outcomes, "files are added, never removed")
}

// The specification states the hidden characters and what the tests go through; both are read from it.
func TestPolicySpecification(t *testing.T) {
	data, err := os.ReadFile("../docs/spec/policy.md")
	require.NoError(t, err)
	spec := string(data)
	_, table, _ := strings.Cut(spec, "They are:\n\n```\n")
	table, _, _ = strings.Cut(table, "```")
	var want []string
	add := func(lo, hi uint32) {
		if lo == hi {
			want = append(want, fmt.Sprintf("%04X", lo))
		} else {
			want = append(want, fmt.Sprintf("%04X-%04X", lo, hi))
		}
	}
	for _, r := range hidden.R16 {
		add(uint32(r.Lo), uint32(r.Hi))
	}
	for _, r := range hidden.R32 {
		add(r.Lo, r.Hi)
	}
	assert.Equal(t, want, strings.Fields(table))
	specSays(t, "in all ways, 1 to 4 (3,026 policies, 25,690 sets)") // TestAllTreesAllReusePatterns
	specSays(t, "other ones on every run (100 policies, 400 sets)")  // TestRandomTrees
	assert.Contains(t, spec, fmt.Sprintf("r = 0x%x", groupOrder))
	for _, limit := range []string{"4,096", "| 32 |", "| 256 |", "| 1,024 |", "| 16 |", "64 / 256", "| 65,536 bytes |", "| 128 / 1,024 |", "91,455"} {
		assert.Contains(t, spec, limit)
	}
	assert.Equal(t, []int{4096, 32, 256, 1024, 16, 64, 256, 65536, 128, 1024, 1024},
		[]int{maxText, maxDepth, maxLeaves, maxExpanded, maxUses, maxName, maxValue, maxVocabulary, maxNames, maxValues, maxItems})
}
