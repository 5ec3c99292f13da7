package sse

import (
	"math"
	"math/bits"
)

// Ranking is BM25: the score of a document is the sum, over the terms of the query that it has, of idf times what impact.go calls impact.
// All of it is counted in whole numbers and with document frequencies of the whole partition, so that a score is the same however rows
// are cut into segments, and on every machine. docs/spec/sse.md, section Ranking.

// idfUnit is the number of parts in which logarithms to base two are counted.
const idfUnit = 1 << 16

// inverseFrequency is the weight of a term that df of n documents have,
//
//	idf = log2((n + 1) / (df + 1/2)),    which is log2(1 + (n - df + 1/2) / (df + 1/2)),
//
// in parts of idfUnit, rounded down, for n below 2^32 (Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and
// beyond", 2009, equation 3.3, with 1 added inside the logarithm so that it is never negative).
func inverseFrequency(n, df uint64) uint64 {
	df = min(df, n)
	// x = (2n+2) / (2df+1), which is above 1, in parts of 2^30; below 2^64 as 2n+2 is at most 2^33.
	x := (2*n + 2) << 30 / (2*df + 1)
	whole := bits.Len64(x) - 31
	y := x >> whole // from 2^30 on, and below 2^31
	log := uint64(whole) * idfUnit
	for bit := uint64(idfUnit / 2); bit > 0; bit /= 2 {
		if y = y * y >> 30; y >= 1<<31 {
			y >>= 1
			log += bit
		}
	}
	return log
}

// scoreOf is a sum of idf times impact as the number that the formula gives.
func scoreOf(sum uint64) float64 {
	const k1 = 1.2
	return float64(sum) * (math.Ln2 * (k1 + 1) / (255 * idfUnit))
}

// scores are the sums for the rows of each part, in the order of rows.
func (s *searching) scores(matches []matched) error {
	n := uint64(0)
	for _, m := range matches {
		n += uint64(m.docs)
		if m.dead != nil && m.docs > 0 {
			n -= m.dead.Rank(m.docs - 1) // tombstones stand behind the documents
		}
	}
	for i := range matches {
		matches[i].scores = make([]uint64, matches[i].rows.GetCardinality())
	}
	for _, t := range s.plan.scored {
		df := uint64(0)
		for _, m := range matches {
			if list := m.lists[t.rows]; list != nil {
				df += list.GetCardinality()
				if m.dead != nil {
					df -= list.AndCardinality(m.dead)
				}
			}
		}
		idf := inverseFrequency(n, df)
		for _, m := range matches {
			if m.format() == 1 || m.lists[t.rows] == nil {
				continue // fields of format 1 have no impacts
			}
			list, err := m.termList(t.rows, t.impacts, -1)
			if err != nil {
				return s.ix.damaged(m.id, m.sharedFirst(), err)
			}
			m.add(list, idf)
		}
	}
	return nil
}

// add adds the impacts of a term to the scores of the rows that match.
func (m *matched) add(list *termList, idf uint64) {
	if list.rows == m.rows { // the query is this term, and nothing was deleted
		for i, impact := range list.impacts {
			m.scores[i] += idf * uint64(impact)
		}
		return
	}
	var room [2][256]uint32
	a, b := list.rows.ManyIterator(), m.rows.ManyIterator()
	has, want := a.NextMany(room[0][:]), b.NextMany(room[1][:])
	for i, j, iDone, jDone := 0, 0, 0, 0; i < has && j < want; {
		x, y := room[0][i], room[1][j]
		if x == y {
			m.scores[jDone+j] += idf * uint64(list.impacts[iDone+i])
		}
		if x <= y {
			if i++; i == has {
				iDone += has
				has, i = a.NextMany(room[0][:]), 0
			}
		}
		if y <= x {
			if j++; j == want {
				jDone += want
				want, j = b.NextMany(room[1][:]), 0
			}
		}
	}
}
