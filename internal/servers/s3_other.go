//go:build !unix

package servers

// S3Server is an S3 server. Here there is none.
type S3Server struct{}

// StartS3 returns ErrUnavailable.
func StartS3() (*S3Server, error) {
	return nil, unavailable("S3 (versitygw)", "servers are started on Unix only: run the tests there")
}

// Start returns ErrUnavailable.
func (s *S3Server) Start() error { _, err := StartS3(); return err }

// Kill returns ErrUnavailable.
func (s *S3Server) Kill() error { _, err := StartS3(); return err }

// Socket is the path of the socket that the server would listen on.
func (s *S3Server) Socket() string { return "" }
