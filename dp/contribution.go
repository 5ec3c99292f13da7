package dp

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"sort"

	"github.com/veilchart/veilchart/internal/wire"
)

// Contribution bounds what one patient adds to an answer. The data owner's gateway enforces it with BoundContributions, or by
// rolling columns up to one row per patient; the analyst never does.
type Contribution struct {
	Rows   int // m: most rows of one patient, 1..2^20. With Groups, most rows in one group.
	Groups int // g: 0 if Rows counts all rows of a patient; otherwise most buckets of a histogram that a patient has rows in, 1..4096
}

const (
	maxRows   = 1 << 20
	maxGroups = 1 << 12
)

func (c Contribution) check() error {
	switch {
	case c.Rows < 1 || c.Rows > maxRows:
		return fmt.Errorf("%w: a patient may have %d rows; declare Unit.Rows between 1 and %d", ErrInvalid, c.Rows, maxRows)
	case c.Groups < 0 || c.Groups > maxGroups:
		return fmt.Errorf("%w: a patient may have rows in %d groups; declare Unit.Groups between 0 and %d", ErrInvalid, c.Groups, maxGroups)
	}
	return nil
}

// rows is the most rows of one patient in all.
func (c Contribution) rows() int { return c.Rows * max(1, c.Groups) }

// A Row is what contribution bounding needs to know of a stored row.
type Row struct {
	Patient string // pseudonym
	Group   string // looked at only if Contribution.Groups > 0
	ID      string // unique among the rows of the patient, and chosen without looking at other patients
}

// BoundContributions returns the indices of the rows to keep, ascending: for each patient at most c.Rows rows, or at most c.Groups
// groups with c.Rows rows each. Which ones are kept follows from an order keyed with key (32 bytes, kept by the data owner) over
// that patient's own rows, and from nothing else: adding or removing another patient changes nothing, and who writes rows
// cannot aim at being kept. Two rows of one patient with the same ID are refused, for they would have no order. The key must
// stay the same for a data version.
func BoundContributions(key []byte, c Contribution, rows []Row) ([]int, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("%w: the order key has %d bytes; give %d random bytes", ErrInvalid, len(key), keySize)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	type ranked struct {
		index              int
		groupRank, rowRank [sha256.Size]byte
	}
	mac := hmac.New(sha256.New, key)
	rank := func(what string, parts ...string) (r [sha256.Size]byte) {
		mac.Reset()
		b := wire.AppendString(nil, "veilchart dp contribution v1 "+what)
		for _, p := range parts {
			b = wire.AppendString(b, p)
		}
		mac.Write(b)
		mac.Sum(r[:0])
		return r
	}
	type rowKey struct{ patient, id string }
	seen := make(map[rowKey]int, len(rows))
	patients := make(map[string][]ranked)
	for i, row := range rows {
		k := rowKey{row.Patient, row.ID}
		if j, dup := seen[k]; dup {
			return nil, fmt.Errorf("%w: rows %d and %d of one patient have the same ID; give each row its own", ErrInvalid, j, i)
		}
		seen[k] = i
		r := ranked{index: i, rowRank: rank("row", row.Patient, row.ID)}
		if c.Groups > 0 {
			r.groupRank = rank("group", row.Patient, row.Group)
		}
		patients[row.Patient] = append(patients[row.Patient], r)
	}
	var keep []int
	for _, own := range patients {
		sort.Slice(own, func(i, j int) bool {
			if d := bytes.Compare(own[i].groupRank[:], own[j].groupRank[:]); d != 0 {
				return d < 0
			}
			return bytes.Compare(own[i].rowRank[:], own[j].rowRank[:]) < 0
		})
		groups, inGroup := 0, 0
		for i, r := range own {
			if i == 0 || r.groupRank != own[i-1].groupRank {
				groups, inGroup = groups+1, 0
			}
			if groups > max(1, c.Groups) {
				break
			}
			if inGroup++; inGroup <= c.Rows {
				keep = append(keep, r.index)
			}
		}
	}
	sort.Ints(keep)
	return keep, nil
}
