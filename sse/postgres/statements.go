package postgres

import "strings"

// statements are the SQL of the store, with the name of the schema in place. Each is one transaction and one round trip. None changes a table twice, which
// CockroachDB refuses. Parts of a WITH that write see the tables as they were before; what they return is all they know of each other. Where an upload must still be
// there, a null stands in place of its name if it is not: that cannot be stored, so all of the statement is rolled back.
type statements struct {
	read, list, remove, sweep             string
	register, more, small, last, discard  string
	owner, probe                          string
	head, swapSmall, swapLast, firstSmall string
	firstLast, fence, fenced, prune       string
}

func newStatements(quoted string) statements {
	at := func(sql string) string { return strings.ReplaceAll(sql, "@.", quoted+".") }
	// The last rows of a blob, numbered from $3 on.
	rows := `INSERT INTO @.chunks (blob, number, data) SELECT $1::bytea, $2::int8 + t.n - 1, t.data FROM unnest($3::bytea[]) WITH ORDINALITY AS t (data, n)`
	returning := ` RETURNING number` // CockroachDB wants every part of a WITH to return something
	segment := `INSERT INTO @.segments (partition, segment, blob, pages, created) SELECT $4::bytea, $5::bytea, `
	// A head is stored if p, the change of the partition, took place.
	update := `p AS (UPDATE @.partitions SET latest = $5::int8 WHERE partition = $4::bytea AND latest = $5::int8 - 1 AND fence = $6::int8 RETURNING latest)`
	first := `p AS (INSERT INTO @.partitions AS q (partition, latest, fence) VALUES ($4::bytea, $5::int8, $6::int8)
		ON CONFLICT (partition) DO UPDATE SET latest = excluded.latest WHERE q.latest = excluded.latest - 1 AND q.fence = excluded.fence RETURNING latest)`
	swapSmall := `, c AS (` + rows + `, p` + returning + `) INSERT INTO @.heads (partition, version, blob, bytes) SELECT $4::bytea, p.latest, $1::bytea, $7::int8 FROM p`
	swapLast := `, u AS (DELETE FROM @.uploads WHERE blob = $1::bytea AND EXISTS (SELECT 1 FROM p) RETURNING blob)
		, c AS (` + rows + `, p` + returning + `) INSERT INTO @.heads (partition, version, blob, bytes) SELECT $4::bytea, p.latest, (SELECT blob FROM u), $7::int8 FROM p`
	return statements{
		// One row for each piece; without a number of pages if the segment is missing, without bytes if the chunk is.
		read: at(`SELECT r.i, s.pages, substring(c.data, r.start::int4, r.length::int4)
			FROM unnest($2::int8[], $3::bytea[], $4::int8[], $5::int8[], $6::int8[]) AS r (i, segment, number, start, length)
			LEFT JOIN @.segments s ON s.partition = $1::bytea AND s.segment = r.segment
			LEFT JOIN @.chunks c ON c.blob = s.blob AND c.number = r.number`),
		list: at(`SELECT segment, pages, created FROM @.segments WHERE partition = $1::bytea`),
		remove: at(`WITH s AS (DELETE FROM @.segments WHERE partition = $1::bytea AND segment = $2::bytea RETURNING blob),
			c AS (DELETE FROM @.chunks WHERE blob IN (SELECT blob FROM s)` + returning + `) SELECT count(*) FROM s`),
		sweep: at(`WITH u AS (DELETE FROM @.uploads WHERE touched < now() - $1::int8 * interval '1 microsecond' RETURNING blob),
			c AS (DELETE FROM @.chunks WHERE blob IN (SELECT blob FROM u)` + returning + `) SELECT count(*) FROM u`),

		register: at(`INSERT INTO @.uploads (blob, touched) VALUES ($1::bytea, now())`),
		more: at(`WITH u AS (UPDATE @.uploads SET touched = now() WHERE blob = $1::bytea RETURNING blob)
			INSERT INTO @.chunks (blob, number, data) SELECT u.blob, $2::int8 + t.n - 1, t.data FROM u, unnest($3::bytea[]) WITH ORDINALITY AS t (data, n)`),
		small: at(`WITH c AS (` + rows + returning + `) ` + segment + `$1::bytea, $6::int8, now()`),
		last: at(`WITH u AS (DELETE FROM @.uploads WHERE blob = $1::bytea RETURNING blob), c AS (` + rows + returning + `) ` +
			segment + `(SELECT blob FROM u), $6::int8, now()`),
		discard: at(`WITH u AS (DELETE FROM @.uploads WHERE blob = $1::bytea RETURNING blob) DELETE FROM @.chunks WHERE blob IN (SELECT blob FROM u)`),
		owner:   at(`SELECT blob FROM @.segments WHERE partition = $1::bytea AND segment = $2::bytea`),

		probe: at(`INSERT INTO @.segments (partition, segment, blob, pages, created) VALUES ($1::bytea, $2::bytea, $3::bytea, 1, now())`),

		head: at(`SELECT p.latest, p.fence, h.version, h.bytes, c.number, c.data FROM @.partitions p
			LEFT JOIN @.heads h ON h.partition = p.partition AND h.version = CASE WHEN $2::int8 = 0 THEN p.latest ELSE $2::int8 END
			LEFT JOIN @.chunks c ON c.blob = h.blob WHERE p.partition = $1::bytea`),
		swapSmall:  at(`WITH ` + update + swapSmall),
		swapLast:   at(`WITH ` + update + swapLast),
		firstSmall: at(`WITH ` + first + swapSmall),
		firstLast:  at(`WITH ` + first + swapLast),
		fence: at(`INSERT INTO @.partitions AS q (partition, latest, fence) VALUES ($1::bytea, 0, 1)
			ON CONFLICT (partition) DO UPDATE SET fence = q.fence + 1`),
		fenced: at(`SELECT latest, fence FROM @.partitions WHERE partition = $1::bytea`),
		prune: at(`WITH h AS (DELETE FROM @.heads WHERE partition = $1::bytea AND version <= $2::int8 RETURNING blob)
			DELETE FROM @.chunks WHERE blob IN (SELECT blob FROM h)`),
	}
}
