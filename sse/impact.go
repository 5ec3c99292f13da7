package sse

// impact is the weight of a term in one document: the part of BM25 that the document decides, which is
//
//	tf (k1+1) / (tf + k1 (1 - b + b dl/avgdl)),    k1 = 1.2, b = 0.75
//
// (Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009, equation 3.15), divided by its supremum
// k1+1 and given in 255ths, at least 1. avgdl is Field.Words and not measured, so that the impact of a document is the same in every
// segment and for ever. tf is how often the document has the term, 1 or more, dl how many words it has in the field, words 1 to
// maxWords.
//
// Numerator and denominator are multiplied by 10 avgdl, which makes them whole: 1.2 (1 - 0.75) = 0.3 and 1.2 * 0.75 = 0.9. With tf and dl
// below 2^32 all of it stays below 2^61.
func impact(tf, dl uint32, words int) uint8 {
	w := uint64(words)
	above := 255 * 10 * w * uint64(tf)
	below := 10*w*uint64(tf) + 3*w + 9*uint64(dl)
	return uint8(max(1, (2*above+below)/(2*below))) // rounded, halves up; below 255.5 as above < 255 below
}
