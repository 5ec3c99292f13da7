package sse

import (
	"cmp"
	"slices"
)

// countFacets counts the documents that match by the values of the fields that were asked for. The values are the words of the vocabularies,
// which part looked up.
func (s *searching) countFacets(matches []matched) map[string][]Count {
	if len(s.plan.facets) == 0 {
		return nil
	}
	facets := make(map[string][]Count, len(s.plan.facets))
	for i, leaf := range s.plan.facets {
		counts := make(map[string]int)
		for _, m := range matches {
			l := &m.leaves[leaf]
			for j, word := range l.words {
				if list := m.lists[l.lookups[j]]; list != nil {
					counts[word] += int(list.AndCardinality(m.rows))
				}
			}
		}
		list := []Count{}
		for word, n := range counts {
			if n > 0 {
				list = append(list, Count{word, n})
			}
		}
		slices.SortFunc(list, func(a, b Count) int { return cmp.Or(b.Count-a.Count, cmp.Compare(a.Value, b.Value)) })
		facets[s.o.Facets[i]] = list
	}
	return facets
}
