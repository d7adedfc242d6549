package kafka

// Check returns ErrInvalidOption with all that is wrong for a server at addr, as Listen does: for who wants to know before there is a broker.
func (o Options) Check(addr string) error { return o.validate(addr) }
