#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}
pub(super) fn run(_: &Arguments, _: &[String]) -> anyhow::Result<std::process::ExitCode> {
    anyhow::bail!("x")
}
