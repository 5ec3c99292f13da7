package abe

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The bytes of docs/spec/policy.md section 7.
func TestAtomBytes(t *testing.T) {
	v := vocabulary(t, "age: number -1..150\nborn: date 1970-01-02..1970-01-05\ndept: many of er, icu\n")
	items, err := v.items(attributes(t, "age = 42", "born = 1970-01-04", "dept = er", "on-call"))
	require.NoError(t, err)
	var got []string
	for _, item := range items {
		got = append(got, hex.EncodeToString([]byte(item)))
	}
	assert.Equal(t, []string{
		"0101" + "00000007" + hex.EncodeToString([]byte("on-call")),
		"0102" + "00000004" + hex.EncodeToString([]byte("dept")) + "00000002" + hex.EncodeToString([]byte("er")),
		"0103" + "00000003" + hex.EncodeToString([]byte("age")) + "ffffffffffffffff" + "0000000000000096" + "08" + "000000000000002b",
		"0104" + "00000004" + hex.EncodeToString([]byte("born")) + "0000000000000001" + "0000000000000004" + "02" + "0000000000000002",
		"0105" + "00000004" + hex.EncodeToString([]byte("dept")) + "00000003" + hex.EncodeToString([]byte("icu")),
	}, got)
	var levels []string
	for _, a := range itemAtoms(items[2]) {
		require.True(t, strings.HasPrefix(string(a), string(items[2][:len(items[2])-9])))
		levels = append(levels, hex.EncodeToString([]byte(a[len(a)-9:])))
	}
	assert.Equal(t, []string{"000000000000000000", "010000000000000000", "020000000000000000", "030000000000000001", "040000000000000002",
		"050000000000000005", "06000000000000000a", "070000000000000015", "08000000000000002b"}, levels)
	assert.Equal(t, []atom{items[0]}, itemAtoms(items[0]))
	assert.Equal(t, []atom{items[4]}, itemAtoms(items[4]))
	assert.Equal(t, []bool{true, true, false, false, false}, []bool{items[0].plain(), items[1].plain(), items[2].plain(), items[3].plain(), items[4].plain()})
	assert.Equal(t, atom("\x01\x06\x08\x4e\x86"), dayAtom(8, 0x4e86))
	longest := Attribute{Name: strings.Repeat("a", maxName), Value: strings.Repeat("b", maxValue)}.atom()
	assert.Len(t, longest, maxItem)
}

// Every form but the one is refused, and what is no exact value is no item.
func TestDecodeItemRefuses(t *testing.T) {
	number := func(lo, hi, level, prefix string) string {
		return "0103" + "00000001" + "61" + lo + hi + level + prefix
	}
	const zero, three, top = "0000000000000000", "0000000000000003", "7fffffffffffffff"
	ok := number(zero, three, "02", three)
	for encoded, want := range map[string]string{
		"": "truncated", "01": "truncated", "0101": "truncated", "010100000001": "truncated",
		"0001" + "00000001" + "61": "version 0", "0201" + "00000001" + "61": "version 2",
		"0100" + "00000001" + "61": "type 0", "0106" + "01" + "0000": "type 6", "0107" + "00000001" + "61": "type 7",
		"0101" + "00000001" + "61" + "00":                                   "trailing",
		"0101" + "00000000":                                                 "give a name",
		"0101" + "00000041" + strings.Repeat("61", 65):                      "over the limit of 64",
		"0101" + "00000001" + "41":                                          "lower case",
		"0101" + "00000003" + "6e6f74":                                      "keyword",
		"0101" + "ffffffff" + "61":                                          "over the limit",
		"0102" + "00000001" + "61" + "00000000":                             "no empty value",
		"0102" + "00000001" + "61" + "00000003" + "65cc81":                  "form C",
		"0102" + "00000001" + "61" + "00000101" + strings.Repeat("61", 257): "over the limit of 256",
		"0105" + "00000001" + "61" + "00000000":                             "no empty value",
		"0105" + "00000001" + "61":                                          "truncated",
		ok + "00":                                                           "trailing",
		ok[:len(ok)-2]:                                                      "truncated",
		number(three, zero, "02", zero):                                     "range is none",
		number(three, three, "00", zero):                                    "range is none",
		number("8000000000000000", zero, "3f", zero):                        "range is none",
		number("ffffffffffffffff", top, "3f", zero):                         "range is none",
		number(zero, three, "03", zero):                                     "outside its range",
		number(zero, three, "ff", zero):                                     "outside its range",
		number(zero, three, "02", "0000000000000004"):                       "outside its range",
		number(zero, "0000000000000002", "02", three):                       "outside its range",
		number(zero, three, "01", "0000000000000001"):                       "a range of values",
		number(zero, three, "00", zero):                                     "a range of values",
		"0104" + number("fffffffffff506c5", zero, "14", zero)[4:]:           "range is none", // 0000-12-31
		"0104" + number(zero, "00000000002cc0a1", "16", zero)[4:]:           "range is none", // 10000-01-01
	} {
		b, err := hex.DecodeString(encoded)
		require.NoError(t, err)
		item, err := decodeItem(b)
		assert.ErrorContains(t, err, want, encoded)
		assert.Empty(t, item)
	}
	for _, encoded := range []string{ok, number(zero, top, "3f", top), number("8000000000000000", "ffffffffffffffff", "3f", top), "0104" + ok[4:]} {
		b, _ := hex.DecodeString(encoded)
		item, err := decodeItem(b)
		assert.NoError(t, err, encoded)
		assert.Equal(t, string(b), string(item))
	}
}

// What decodes is the encoding of the attribute that it says, and no other bytes are.
func FuzzDecodeItem(f *testing.F) {
	v, err := ParseVocabulary(wardVocabulary)
	require.NoError(f, err)
	for _, text := range []string{"age = 42", "born = 1990-01-31", "dept = cardiology", "role = doctor", "on-call"} {
		a, err := ParseAttribute(text)
		require.NoError(f, err)
		item, err := a.item(v)
		require.NoError(f, err)
		f.Add([]byte(item))
	}
	f.Add([]byte(Attribute{Name: "dept", Value: "psychiatry", Kind: Not}.atom()))
	f.Fuzz(func(t *testing.T, b []byte) {
		item, err := decodeItem(b)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(b), maxItem)
		require.Equal(t, string(b), string(item))
		a := itemAttribute(item)
		require.NoError(t, a.validate())
		again, err := ParseAttribute(a.String())
		require.NoError(t, err)
		require.Equal(t, a, again)
		atoms := itemAtoms(item)
		require.Equal(t, item, atoms[len(atoms)-1])
		if a.Kind != Number && a.Kind != Date {
			require.Equal(t, item, a.atom())
			return
		}
		p, err := parseAtom(b)
		require.NoError(t, err)
		require.Len(t, atoms, bitLen(p.lo, p.hi)+1)
		d := declaration{name: a.Name, is: declaredNumber, lo: p.lo, hi: p.hi}
		if a.Kind == Date {
			d.is = declaredDate
		}
		again2, err := a.item(vocabulary(t, d.String()))
		require.NoError(t, err)
		require.Equal(t, item, again2)
		for _, atom := range atoms {
			_, err := parseAtom([]byte(atom))
			require.NoError(t, err)
		}
	})
}

// Atoms of different types, names, values, ranges, levels and prefixes differ, and none is the beginning of another.
func TestAtomsAreInjective(t *testing.T) {
	seen := map[atom]string{}
	add := func(a atom, what string) {
		require.Empty(t, seen[a], what)
		seen[a] = what
	}
	for _, name := range []string{"a", "ab", "aa"} {
		add(Attribute{Name: name}.atom(), name)
		for _, value := range []string{"a", "b", "aa", "\x00\x00\x00\x01a"} {
			add(Attribute{Name: name, Value: value}.atom(), name+value)
			add(Attribute{Name: name, Value: value, Kind: Not}.atom(), name+value+" not")
		}
		for _, kind := range []byte{atomNumber, atomDate} {
			for _, lohi := range [][2]int64{{0, 3}, {0, 2}, {1, 3}, {-1, 3}} {
				for level := range bitLen(lohi[0], lohi[1]) + 1 {
					for prefix := range 1 << level {
						add(atom(appendIntervalAtom(nil, kind, name, lohi[0], lohi[1], interval{uint8(level), uint64(prefix)})), fmt.Sprint(name, kind, lohi, level, prefix))
					}
				}
			}
		}
	}
	for level := 1; level <= dayDigits; level++ {
		for _, prefix := range []uint16{0, 1, 3} {
			add(dayAtom(level, prefix), fmt.Sprint(level, prefix))
		}
	}
	var all []atom
	for a := range seen {
		all = append(all, a)
	}
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		require.False(t, strings.HasPrefix(string(all[i]), string(all[i-1])))
	}
}

// A window covers its days and no others, each day once, and its neighbours cannot be merged.
func TestWindowAtoms(t *testing.T) {
	days := func(a atom) (first, last int) {
		level, prefix := int(a[2]), int(a[3])<<8|int(a[4])
		size := 1 << (16 - 2*level)
		return prefix * size, prefix*size + size - 1
	}
	check := func(t require.TestingT, first, last int) int {
		atoms := windowAtoms(uint16(first), uint16(last))
		require.True(t, slices.IsSorted(atoms), "ascending by level and prefix")
		slices.SortFunc(atoms, func(a, b atom) int { x, _ := days(a); y, _ := days(b); return x - y })
		next := first
		count := map[[2]int]int{}
		for _, a := range atoms {
			from, to := days(a)
			require.Equal(t, next, from)
			next = to + 1
			count[[2]int{int(a[2]), (int(a[3])<<8 | int(a[4])) / 4}]++
		}
		require.Equal(t, last+1, next)
		for at, n := range count {
			require.True(t, n < 4 || at[0] == 1, "four quarters make one interval")
		}
		return len(atoms)
	}
	for first := range 70 {
		for last := first; last < 300; last++ {
			check(t, first, last)
		}
	}
	assert.Equal(t, 4, check(t, 0, 65535), "all of time")
	assert.Equal(t, 44, check(t, 1, 65534), "the most")
	assert.Equal(t, 1, check(t, 65535, 65535))
	assert.Equal(t, 4, check(t, 65529, 65535), "three days and a block of four")
	most := 0
	for first := 20_000; first < 20_000+4096; first++ {
		most = max(most, check(t, first, first+364))
	}
	assert.Equal(t, 20, most, "a year")
	rapid.Check(t, func(rt *rapid.T) {
		first := rapid.IntRange(0, 65535).Draw(rt, "first")
		last := rapid.IntRange(first, 65535).Draw(rt, "last")
		require.LessOrEqual(rt, check(rt, first, last), 44)
		window := windowAtoms(uint16(first), uint16(last))
		for _, day := range []int{first, last, (first + last) / 2, first - 1, last + 1, rapid.IntRange(0, 65535).Draw(rt, "day")} {
			if day < 0 || day > 65535 {
				continue
			}
			atoms := dayAtoms(uint16(day))
			require.Len(rt, atoms, 8)
			common := slices.DeleteFunc(slices.Clone(atoms), func(a atom) bool { return !slices.Contains(window, a) })
			if first <= day && day <= last {
				require.Len(rt, common, 1)
			} else {
				require.Empty(rt, common)
			}
		}
	})
}
