select distinct kind, digest from forgotten where digest is not null and kind in ('tweet', 'gold', 'user');
