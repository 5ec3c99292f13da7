// Package he computes counts, sums, means and histograms over columns that the computing server cannot read.
//
// A gateway at the hospital holds a [Key], encrypts numeric columns with it and gives them to a server. Asked by the
// gateway, the server adds up a set of rows without any key, and the gateway decrypts one number. That number is exact; it
// is for package dp, which adds noise to it before an analyst sees anything. Hence its type is [UnreleasedResult].
//
// Columns and answers have encodings. A [Plan] and a [RowSet] have none yet, and the plan binds the row set's random salt: in
// this version gateway and server are two roles in one process.
//
// The promise: a server that follows the protocol, or only looks, learns nothing about the values beyond what "Leakage"
// lists, at 128-bit security against classical computers; and an answer that [NewPlan] agreed to is exact, since it proved
// from public sizes that neither the sum nor the noise can overflow.
//
//	key, _ := he.GenerateKey(he.ProfileSum)
//	column, _ := key.EncryptColumn(he.ColumnSchema{Name: "bmi", Min: 10, Max: 60, Scale: 10}, []he.Value{
//		{Row: 0, X: 22.5}, {Row: 1, X: 31.2}, {Row: 3, X: 27.0}, // row 2 has no value
//	})
//	plan, _ := he.NewPlan(he.Query{Kind: he.Mean, Column: "bmi", Rows: he.NewRowSet(1, 2, 3)}, column)
//	answer, _ := he.Evaluate(context.Background(), plan, column) // on the server
//	exact, _ := key.Decrypt(plan, answer)                        // at the gateway
//	fmt.Println(exact.ExposeCount(), exact.ExposeSum())          // 2 rows, 382 = 212 + 170 tenths above 10
//
// A row is a stable position that the caller assigns and never reuses, the same in all columns. A column has a presence part
// besides the values, so that a missing value is not a zero, and one part for each bucket of a histogram.
//
// # Leakage
//
// The server sees the schema of a column (name, bounds, scale, bucket edges), how many positions it covers, which blocks were
// sealed again and when, and the identifier of the key. Of each query it sees the kind, the column and the row set: plain
// masks name the matching positions, and two queries show their overlap. It does not see values, which rows have one, or
// any answer. Whoever evaluates an empty row set knows that its answer is zero.
//
// # Not protected
//
//   - The answers themselves. They are exact; only dp makes them fit to be seen.
//   - Against a server that computes something else. Encryption of this kind is malleable: a server can add a number of its
//     choice to an answer, leave rows out or use an older revision of a column, and [Key.Decrypt] notices only what makes a
//     result impossible. Authenticated answers are a later format. Until then the server is trusted to compute what it is
//     asked, as it is not trusted to look.
//   - Against a server that is told about failures. Whether a crafted answer decrypts is one bit about the key. After an
//     ErrDecrypt from an answer, stop, and re-encrypt under a new key before asking that server again.
//   - A column file at rest: [Key.Verify] notices any change of it and any column made under another key. It does not notice
//     an older file of the same column; pin [Column.Digest] for that. Without the key, [NewColumn] finds damage but no
//     forgery. Availability is not protected.
//   - Old copies. A value can be decrypted as long as the key and any copy of a file with it exist. [Key.Reencrypt] and then
//     destroying the old key is how a patient leaves.
//   - Timing at the gateway. Samplers do not branch on secrets, but the arithmetic is not claimed to be constant in time.
//
// The formats, the parameters and the proofs are in docs/spec/he.md.
package he
