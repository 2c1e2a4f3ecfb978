// A module's service, queries and tables are private: only its contract is public.
use inventory_impl::service::Service;
use ordering_impl::schema::order_summary;

fn main() {}
