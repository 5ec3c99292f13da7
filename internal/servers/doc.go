// Package servers starts real servers for tests, as an ordinary user, in folders of their own, and sees to it that they end with the test
// binary, however that ends. A test asks for one and gets its address:
//
//	dsn := servers.PostgreSQL(t).Database(t)
//
// One server of a kind serves a whole test binary; a test that kills its server starts one of its own.
//
// Where a server is not installed the test is skipped, and the reason says how to install it. Where the environment variable
// VEILCHART_SERVERS is "require" it fails instead: the README's test command sets that, so that no test is left out there in silence.
//
// Only tests and bench import this package.
package servers
