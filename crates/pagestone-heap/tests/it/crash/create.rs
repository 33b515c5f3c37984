//! The making of a file crashed at every boundary: no file, or a whole one.

use pagestone_heap::ErrorKind;
use pagestone_storage::seam::{Event, Machine, set_machine};
use pagestone_testkit::{
    images::{Device, Mix},
    random::Random,
};

use super::{
    check::{Kind, Tally},
    place::Place,
    session::Manner,
    view::contents,
};

pub(crate) fn run(seed: u64, tally: &mut Tally) {
    tally.runs += 1;
    let mut random = Random::new(seed);
    let machine = Machine { boot: [3, 3], mount: 3 };
    set_machine(Some(machine));
    let mut place = Place::new();
    let at = place.at();
    let (made, trace) = place.watched(|| {
        Manner::PLAIN.options().create(at.clone()).map(drop).map_err(|error| error.to_string())
    });
    made.unwrap();
    let mut device = Device::of(vec![]);
    for (nth, event) in trace.events.iter().enumerate() {
        device.apply(event);
        if matches!(event, Event::Call(_) | Event::Mapped(_)) {
            continue;
        }
        tally.points += 1;
        let is_made = trace.events[nth..].iter().all(|event| matches!(event, Event::Call(_)));
        let mixes = Mix::ALL.iter().flat_map(|mix| [mix; 4]);
        let losses: Vec<_> = mixes.map(|mix| device.survivors(*mix, &mut random)).collect();
        let kill = [device.cache().to_vec()];
        for (kind, image) in kill
            .into_iter()
            .map(|image| (Kind::Kill, image))
            .chain(losses.into_iter().map(|image| (Kind::PowerLoss, image)))
        {
            tally.images += 1;
            place.install(&image);
            set_machine(Some(kind.machine(machine)));
            let (opened, _) = place.watched(|| match Manner::PLAIN.options().open(at.clone()) {
                Ok(file) => contents(&file).map(|found| found.heaps.is_empty()),
                Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated) => {
                    Ok(!is_made)
                }
                Err(error) => Err(error.to_string()),
            });
            if opened != Ok(true) {
                tally.violations.push(format!("{kind:?} after event {nth}: {opened:?}"));
                return;
            }
        }
    }
}
